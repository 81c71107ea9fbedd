//! The executor's own rules, asked without executing anything: is a document valid, and how many points does it cost.

use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::parser::types::{BaseType, ExecutableDocument, VariableDefinition};
use async_graphql::{Name, Positioned, Request, ServerError, ValidationMode, ValidationResult, Value, Variables};
use futures_util::FutureExt;

use super::answer::add_code;
use crate::error::code;
use crate::graphql::{self, VoiceSchema};
use crate::limits::Limits;

/// Two schemas that execute nothing.
#[derive(Clone)]
pub(super) struct Checker {
    /// Every rule of the language.
    strict: VoiceSchema,
    /// Costs alone, for documents that are known to be valid.
    costs: VoiceSchema,
    /// Whether the schema tells of itself, in introspection and in errors.
    pub(super) tells: bool,
}

/// Ends every request after validation, with its result as the source of an error.
struct Stop;

/// Points that an operation costs.
struct Points(usize);

impl ExtensionFactory for Stop {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for Stop {
    async fn validation(
        &self,
        context: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let points = Points(next.run(context).await?.complexity);
        Err(vec![ServerError { source: Some(Arc::new(points)), ..ServerError::new("valid", None) }])
    }
}

impl Checker {
    /// With `tells`, introspection is taken, and errors suggest names of the schema.
    pub(super) fn new(limits: &Limits, tells: bool) -> Self {
        let schema = |mode| {
            let builder = graphql::builder(limits).validation_mode(mode).extension(Stop);
            if tells { builder.finish() } else { builder.disable_suggestions().finish() }
        };
        Self { strict: schema(ValidationMode::Strict), costs: schema(ValidationMode::Fast), tells }
    }

    /// Whether a document keeps the rules of the language, whatever values its variables will have.
    pub(super) fn validate(&self, document: &ExecutableDocument) -> Result<(), Vec<ServerError>> {
        let operations = document.operations.iter();
        // A name is needed where there are several operations; which one it is makes no difference here.
        let (name, _) = operations.clone().next().map_or((None, ()), |(name, _)| (name.cloned(), ()));
        let variables: Variables = operations
            .flat_map(|(_, operation)| &operation.node.variable_definitions)
            .filter_map(|definition| Some((definition.node.name.node.clone(), stand_in(definition)?)))
            .fold(Variables::default(), |mut variables, (name, value)| {
                variables.insert(name, value);
                variables
            });
        let checked = run(&self.strict, document.clone(), variables, name);
        checked.map(drop).map_err(|mut errors| {
            errors.iter_mut().for_each(|error| add_code(error, true));
            errors
        })
    }

    /// Whether the values of variables fit where a valid document, reduced to one operation, uses them.
    pub(super) fn accepts(
        &self,
        document: ExecutableDocument,
        variables: Variables,
        name: Option<Name>,
    ) -> Result<(), Vec<ServerError>> {
        let Err(mut errors) = run(&self.strict, document, variables, name) else { return Ok(()) };
        // A fragment that other operations use, and this one does not.
        errors.retain(|error| !error.message.starts_with("Fragment \""));
        for error in &mut errors {
            error.extensions.get_or_insert_default().set("code", code::BAD_USER_INPUT);
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Points that the only operation of a valid document costs with these variables.
    pub(super) fn cost(
        &self,
        document: ExecutableDocument,
        variables: Variables,
        name: Option<Name>,
    ) -> Result<usize, Vec<ServerError>> {
        run(&self.costs, document, variables, name).map_err(|mut errors| {
            errors.iter_mut().for_each(|error| add_code(error, true));
            errors
        })
    }
}

/// A value for a variable that has none yet, so that costs can be counted. Costs depend on numbers alone.
fn stand_in(definition: &Positioned<VariableDefinition>) -> Option<Value> {
    let definition = &definition.node;
    if definition.default_value().is_some() {
        return None;
    }
    match &definition.var_type.node.base {
        BaseType::List(_) => Some(Value::List(Vec::new())),
        BaseType::Named(name) => match name.as_str() {
            "Int" | "Float" => Some(Value::from(1)),
            "Boolean" => Some(Value::from(false)),
            "String" | "ID" => Some(Value::from("")),
            _ => None,
        },
    }
}

fn run(
    schema: &VoiceSchema,
    document: ExecutableDocument,
    variables: Variables,
    name: Option<Name>,
) -> Result<usize, Vec<ServerError>> {
    let mut request = Request::new("").variables(variables);
    request.operation_name = name.map(|name| name.to_string());
    request.set_parsed_query(document);
    // Nothing on this way ever waits.
    let Some(response) = schema.execute(request).now_or_never() else { return Err(Vec::new()) };
    match response.errors.first().and_then(|error| error.source::<Points>()) {
        Some(points) => Ok(points.0),
        None => Err(response.errors),
    }
}
