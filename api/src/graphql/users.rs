//! Signing in, and who may do what.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use commands::{NewUser, User as Account, UserError};
use domain::permission::Permission;
use projections::models::Scroll;
use uuid::Uuid;

use super::cost;
use super::node::{GlobalId, Kind};
use super::pages::{Connection, PageArgs};
use crate::auth::{Auth, Permit, RequireAll, TOKEN_LASTS};
use crate::error::{bad_input, code, coded, internal, overloaded};

/// Most permissions given beside a role.
const PERMISSIONS_MAX: usize = 50;

/// What a user is in the call centre; brings permissions.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::permission::Role")]
pub(crate) enum Role {
    /// Speaks with customers: own calls, own presence, boards.
    Agent,
    /// Leads agents: every call and agent, boards, the event log.
    Supervisor,
    /// Runs the system: everything.
    Admin,
}

/// An account, as clients see it.
pub(crate) struct User(pub(super) Account);

/// A person who may sign in.
#[Object]
impl User {
    /// Identity among everything: for `node` and for the caches of clients.
    pub(super) async fn id(&self) -> ID {
        GlobalId::new(Kind::User, self.0.id).to_id()
    }
    /// Identity; the actor of what the person does is `user:` and this id.
    async fn user_id(&self) -> Uuid {
        self.0.id
    }
    /// Address to sign in with.
    async fn email(&self) -> &str {
        &self.0.email
    }
    /// Name shown.
    async fn name(&self) -> &str {
        &self.0.name
    }
    /// Role.
    async fn role(&self) -> Role {
        self.0.role.into()
    }
    /// Permissions of the role and those given beside it: `resource:action`, `resource:action:own`, with `*` for every.
    async fn permissions(&self) -> Vec<String> {
        self.0.permissions.iter().map(ToString::to_string).collect()
    }
    /// The agent this person is; what `:own` means.
    async fn agent_id(&self) -> Option<Uuid> {
        self.0.agent_id
    }
    /// Whether the account is closed.
    async fn disabled(&self) -> bool {
        self.0.disabled_at.is_some()
    }
}

/// Address and password.
#[derive(InputObject)]
struct LoginInput {
    /// Address.
    email: String,
    /// Password.
    #[graphql(secret)]
    password: String,
}

/// A token, and whose it is.
#[derive(SimpleObject)]
struct LoginPayload {
    /// Access token. Send it as `Authorization: Bearer ...`, over a WebSocket as `authorization` in the `connection_init`
    /// payload.
    access_token: String,
    /// How long it is good, in seconds. `renewToken` gives a new one before that.
    expires_in_s: u64,
    /// Whose it is.
    user: User,
}

/// A person to be added.
#[derive(InputObject)]
struct CreateUserInput {
    /// Address to sign in with.
    email: String,
    /// Name shown.
    name: String,
    /// Role.
    role: Role,
    /// Permissions beside the role's.
    #[graphql(default)]
    permissions: Vec<String>,
    /// The agent this person is.
    agent_id: Option<Uuid>,
    /// Password: at least 10 characters, at most 256 bytes.
    #[graphql(secret)]
    password: String,
}

/// A new role for a user.
#[derive(InputObject)]
struct SetUserRoleInput {
    /// The user.
    user_id: Uuid,
    /// The role.
    role: Role,
    /// Permissions beside the role's; they replace the earlier ones.
    #[graphql(default)]
    permissions: Vec<String>,
}

/// A new password for oneself.
#[derive(InputObject)]
struct ChangePasswordInput {
    /// The password so far.
    #[graphql(secret)]
    current_password: String,
    /// The new one: at least 10 characters, at most 256 bytes.
    #[graphql(secret)]
    new_password: String,
}

/// An account to close or open.
#[derive(InputObject)]
struct SetUserDisabledInput {
    /// The user.
    user_id: Uuid,
    /// Close it, or open it again.
    disabled: bool,
}

fn refused(error: UserError) -> async_graphql::Error {
    let text = error.to_string();
    match error {
        UserError::EmailInvalid => bad_input("email", "EMAIL_INVALID", text),
        UserError::EmailTaken => bad_input("email", "EMAIL_TAKEN", text),
        UserError::AgentTaken => bad_input("agentId", "AGENT_TAKEN", text),
        UserError::NameInvalid(invalid) => bad_input("name", invalid.code(), invalid),
        UserError::PasswordInvalid => bad_input("password", "PASSWORD_LENGTH", text),
        UserError::Unknown => coded(code::NOT_FOUND, text),
        UserError::Busy => overloaded(),
        UserError::Database(_) | UserError::Hash(_) => internal(&error),
    }
}

fn permissions(texts: &[String]) -> Result<Vec<Permission>> {
    if texts.len() > PERMISSIONS_MAX {
        let message = format!("at most {PERMISSIONS_MAX} permissions");
        return Err(bad_input("permissions", "TOO_MANY_PERMISSIONS", message));
    }
    let parse =
        |text: &String| Permission::parse(text).map_err(|invalid| bad_input("permissions", invalid.code(), invalid));
    texts.iter().map(parse).collect()
}

/// Users.
#[derive(Default)]
pub(crate) struct UserQuery;

#[Object]
impl UserQuery {
    /// Who is signed in.
    async fn viewer(&self, context: &Context<'_>) -> Result<User> {
        Ok(User(context.viewer()?.user.clone()))
    }

    /// Users in the order they were added.
    #[graphql(guard = "RequireAll(\"user\", \"read\")", complexity = "cost::page(first, last, child_complexity)")]
    async fn users(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many from the beginning, 1 to 100; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Those after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Those before this cursor.")] before: Option<String>,
    ) -> Result<Connection<User>> {
        let page = PageArgs { first, after, last, before }.query::<Uuid>(context, "page:users")?;
        let users = context.data::<Auth>()?.users();
        let rows = match page.scroll {
            Scroll::Forward => users.page(page.cursor, page.limit).await,
            Scroll::Backward => users.page_before(page.cursor, page.limit).await,
        };
        page.connection(context, rows.map_err(refused)?, |user| user.id, User)
    }
}

/// Commands about users.
#[derive(Default)]
pub(crate) struct UserCommands;

#[Object]
impl UserCommands {
    /// Sign in with address and password. Needs no token.
    async fn login(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Address and password.")] input: LoginInput,
    ) -> Result<LoginPayload> {
        let signed_in = context.data::<Auth>()?.sign_in(&input.email, input.password).await.map_err(refused)?;
        let (access_token, user) = signed_in.ok_or_else(|| {
            // One answer for every reason, so that nobody learns which addresses exist.
            coded(code::UNAUTHENTICATED, "wrong e-mail address or password")
        })?;
        Ok(LoginPayload { access_token, expires_in_s: TOKEN_LASTS.as_secs(), user: User(user) })
    }

    /// A new token in place of one that is still good.
    async fn renew_token(&self, context: &Context<'_>) -> Result<LoginPayload> {
        let user = context.viewer()?.user.clone();
        let access_token = context.data::<Auth>()?.renew(&user);
        Ok(LoginPayload { access_token, expires_in_s: TOKEN_LASTS.as_secs(), user: User(user) })
    }

    /// Add a person.
    #[graphql(guard = "RequireAll(\"user\", \"create\")")]
    async fn create_user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The person.")] input: CreateUserInput,
    ) -> Result<User> {
        let new = NewUser {
            email: input.email,
            name: input.name,
            role: input.role.into(),
            permissions: permissions(&input.permissions)?,
            agent_id: input.agent_id,
            password: input.password,
        };
        context.data::<Auth>()?.users().create(new).await.map(User).map_err(refused)
    }

    /// Change role and permissions. The person's tokens become worthless.
    #[graphql(guard = "RequireAll(\"user\", \"update\")")]
    async fn set_user_role(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Whose, and which.")] input: SetUserRoleInput,
    ) -> Result<User> {
        let permissions = permissions(&input.permissions)?;
        let users = context.data::<Auth>()?.users();
        users.set_role(input.user_id, input.role.into(), &permissions).await.map(User).map_err(refused)
    }

    /// Close an account, or open it again. The person's tokens become worthless.
    #[graphql(guard = "RequireAll(\"user\", \"update\")")]
    async fn set_user_disabled(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Whose, and which of the two.")] input: SetUserDisabledInput,
    ) -> Result<User> {
        let users = context.data::<Auth>()?.users();
        users.set_disabled(input.user_id, input.disabled).await.map(User).map_err(refused)
    }

    /// Change one's own password. All earlier tokens become worthless; the answer brings a new one.
    async fn change_password(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The old one and the new one.")] input: ChangePasswordInput,
    ) -> Result<LoginPayload> {
        let auth = context.data::<Auth>()?;
        let viewer = context.viewer()?;
        let known = auth.sign_in(&viewer.user.email, input.current_password).await.map_err(refused)?;
        if known.is_none() {
            return Err(bad_input("currentPassword", "PASSWORD_WRONG", "this is not the current password"));
        }
        let user = auth.users().set_password(viewer.user.id, input.new_password).await.map_err(refused)?;
        let access_token = auth.renew(&user);
        Ok(LoginPayload { access_token, expires_in_s: TOKEN_LASTS.as_secs(), user: User(user) })
    }
}
