//! Every field of the schema has a guard: what the schema says of itself is asked by nobody in particular.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::graphql::Pushed;
use tests::{Client, Refusal, TestDatabase, TestServer};

const TYPE: &str = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";

/// The schema as it introspects itself.
struct Schema(BTreeMap<String, Value>);

impl Schema {
    async fn of(client: &Client) -> Self {
        let input = format!("name defaultValue type {{ {TYPE} }}");
        let document = format!(
            "{{ __schema {{ types {{ kind name isOneOf enumValues {{ name }} inputFields {{ {input} }}
               fields {{ name args {{ {input} }} type {{ {TYPE} }} }} }} }} }}"
        );
        let data = client.query(&document, json!({})).await;
        let types = data["__schema"]["types"].as_array().unwrap().clone();
        Self(types.into_iter().map(|ty| (ty["name"].as_str().unwrap().to_owned(), ty)).collect())
    }

    fn fields(&self, root: &str) -> &[Value] {
        self.0[root]["fields"].as_array().unwrap()
    }

    /// A document that asks for one root field, with whatever it insists on.
    fn document(&self, root: &str, field: &Value) -> String {
        let arguments = self.given(&field["args"], false);
        let arguments = if arguments.is_empty() { arguments } else { format!("({arguments})") };
        let selection = match self.kind(&field["type"]) {
            "OBJECT" | "UNION" | "INTERFACE" => " { __typename }",
            _ => "",
        };
        format!("{} {{ {}{arguments}{selection} }}", root.to_lowercase(), field["name"].as_str().unwrap())
    }

    /// Values for what can't be left out; of alternatives, for the first.
    fn given(&self, inputs: &Value, alternatives: bool) -> String {
        let inputs = inputs.as_array().unwrap().iter();
        let needed =
            |input: &&Value| alternatives || input["type"]["kind"] == "NON_NULL" && input["defaultValue"].is_null();
        let given = |input: &Value| format!("{}: {}", input["name"].as_str().unwrap(), self.value(&input["type"]));
        let count = if alternatives { 1 } else { usize::MAX };
        inputs.filter(needed).take(count).map(given).collect::<Vec<_>>().join(", ")
    }

    fn named<'a>(&self, ty: &'a Value) -> &'a Value {
        if ty["name"].is_null() { self.named(&ty["ofType"]) } else { ty }
    }

    fn kind<'a>(&self, ty: &'a Value) -> &'a str {
        self.named(ty)["kind"].as_str().unwrap()
    }

    fn value(&self, ty: &Value) -> String {
        match (ty["kind"].as_str().unwrap(), ty["name"].as_str().unwrap_or_default()) {
            ("NON_NULL", _) => self.value(&ty["ofType"]),
            ("LIST", _) => "[]".to_owned(),
            ("ENUM", name) => self.0[name]["enumValues"][0]["name"].as_str().unwrap().to_owned(),
            ("INPUT_OBJECT", name) => {
                let alternatives = self.0[name]["isOneOf"] == json!(true);
                format!("{{ {} }}", self.given(&self.0[name]["inputFields"], alternatives))
            }
            (_, "UUID") => "\"018f3f3f-0000-7000-8000-000000000000\"".to_owned(),
            (_, "DateTime") => "\"2026-01-01T00:00:00Z\"".to_owned(),
            (_, "Int" | "Float" | "Position") => "1".to_owned(),
            (_, "Boolean") => "true".to_owned(),
            (_, "String" | "ID") => "\"text\"".to_owned(),
            (kind, name) => panic!("no value for {kind} {name}"),
        }
    }
}

/// What became of a document, whichever way it has to be sent.
async fn outcome(client: &Client, root: &str, document: &str) -> Option<Refusal> {
    let answer = if root == "Subscription" {
        match client.subscribe(document, json!({})).await.message().await {
            Pushed::Error(errors) => json!({ "errors": errors }),
            _ => return None,
        }
    } else {
        client.send(document, json!({})).await
    };
    if answer["errors"].is_null() { None } else { Some(Refusal::of(&answer)) }
}

#[tokio::test]
async fn nobody_gets_past_any_root_field() {
    let database = TestDatabase::new().await;
    let server = TestServer::start(&database).await;
    let nobody = server.anonymous();
    let schema = Schema::of(&nobody).await;
    let mut asked = BTreeMap::new();
    for root in ["Query", "Mutation", "Subscription"] {
        for field in schema.fields(root) {
            let name = field["name"].as_str().unwrap();
            if name == "login" {
                continue;
            }
            let document = schema.document(root, field);
            let refusal = outcome(&nobody, root, &document).await;
            let refusal = refusal.unwrap_or_else(|| panic!("{document} is open to everybody"));
            assert_eq!(refusal.words(), ("UNAUTHENTICATED", ""), "{document}: {refusal:?}");
            *asked.entry(root).or_insert(0) += 1;
        }
    }
    // So that an introspection that tells nothing is no success.
    assert!(asked["Query"] >= 10 && asked["Mutation"] >= 30 && asked["Subscription"] >= 8, "{asked:?}");
    server.stop().await;
}

#[tokio::test]
async fn ownership_opens_no_field_in_which_nothing_is_ones_own() {
    let database = TestDatabase::new().await;
    let server = TestServer::start(&database).await;
    let role = domain::permission::Role::Agent;
    let user = server.user(role, Some(uuid::Uuid::now_v7()), &["*:*:own"]).await;
    let owner = server.sign_in(&user).await;
    let schema = Schema::of(&owner).await;
    let mut refused = Vec::new();
    for root in ["Query", "Mutation", "Subscription"] {
        for field in schema.fields(root) {
            let name = field["name"].as_str().unwrap();
            // Would change the one who asks; ends the token.
            if ["login", "changePassword"].contains(&name) {
                continue;
            }
            let answered = outcome(&owner, root, &schema.document(root, field)).await;
            if answered.is_some_and(|refusal| refusal.code == "FORBIDDEN") {
                refused.push(name.to_owned());
            }
        }
    }
    for name in [
        "users",
        "createUser",
        "setUserRole",
        "setUserDisabled",
        "parkedKeys",
        "parkedKey",
        "retryParkedKey",
        "searchTranscripts",
        "logPosition",
        "events",
        "registerAgent",
        "callHistory",
        "queueCall",
        "answerCall",
        "endCall",
        "addTranscriptSegment",
        "correctTranscriptSegment",
        "scoreSentiment",
        "setCapability",
        "transcript",
        "sentiment",
        "replayCall",
    ] {
        assert!(refused.iter().any(|refused| refused == name), "{name} is open; refused were {refused:?}");
    }
    server.stop().await;
}
