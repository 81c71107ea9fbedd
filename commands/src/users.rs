//! People who use the system: accounts, passwords, and what each may do.

mod lookups;

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use chrono::{DateTime, Utc};
use domain::AgentId;
use domain::permission::{Permission, PermissionSet, Role};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row};
use tokio::sync::Semaphore;
use uuid::Uuid;

use lookups::Lookups;

/// Shortest password that is taken, in characters (NIST SP 800-63B asks for 8 at least).
pub const PASSWORD_LENGTH_MIN: usize = 10;
/// Longest password that is taken, in bytes; bounds the work of hashing.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Password hashes computed at once; more would starve everything else on a small machine.
const HASHES_AT_ONCE: usize = 2;
/// Passwords that may wait to be hashed. One more is refused as overload.
const HASHES_WAITING_MAX: usize = 32;
/// Hash that no password fits; an unknown user costs as much time as a wrong password.
const NO_PASSWORD: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$dm9pY2Utbm8tdXNlci1oZXJl$hFLyTDAVUwcCUMjNjRvTxDOL+XQMS3zAZ1gG6IuJLGg";

/// A person who may sign in.
#[derive(Debug, Clone)]
pub struct User {
    /// Identity; the actor of what the person does.
    pub id: Uuid,
    /// Address to sign in with, lower case.
    pub email: String,
    /// Name shown.
    pub name: String,
    /// Role, which brings its permissions.
    pub role: Role,
    /// The role's permissions and those given beside it.
    pub permissions: PermissionSet,
    /// The agent this person is, if any.
    pub agent_id: Option<AgentId>,
    /// Tokens with another version are worthless.
    pub token_version: i32,
    /// Set when the account was closed.
    pub disabled_at: Option<DateTime<Utc>>,
}

/// A person to be added.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Address to sign in with.
    pub email: String,
    /// Name shown.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Permissions beside the role's.
    pub permissions: Vec<Permission>,
    /// The agent this person is.
    pub agent_id: Option<AgentId>,
    /// Password in clear; only its hash is kept.
    pub password: String,
}

/// Why something about a user could not be done.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Not an address.
    #[error("not an e-mail address")]
    EmailInvalid,
    /// Somebody else has it.
    #[error("a user with this e-mail address exists")]
    EmailTaken,
    /// Another user is this agent.
    #[error("another user is linked to this agent")]
    AgentTaken,
    /// Name missing or too long.
    #[error(transparent)]
    NameInvalid(#[from] domain::InvalidText),
    /// Too short or too long.
    #[error("a password has at least {PASSWORD_LENGTH_MIN} characters and at most {PASSWORD_BYTES_MAX} bytes")]
    PasswordInvalid,
    /// No such user.
    #[error("there is no such user")]
    Unknown,
    /// The database does not answer.
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
    /// Too many passwords wait to be hashed.
    #[error("too many people sign in at this moment")]
    Busy,
    /// Hashing failed.
    #[error("the password could not be hashed: {0}")]
    Hash(String),
}

/// The accounts. Cheap to clone.
#[derive(Clone)]
pub struct Users {
    pool: PgPool,
    lookups: Arc<Lookups>,
    /// Those who wait, and those whose turn it is.
    queue: Arc<Semaphore>,
    hashing: Arc<Semaphore>,
}

impl Users {
    /// Accounts in a database.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        let (queue, hashing) = (places(HASHES_AT_ONCE + HASHES_WAITING_MAX), places(HASHES_AT_ONCE));
        Self { pool, lookups: Arc::default(), queue, hashing }
    }

    /// Adds a person.
    ///
    /// # Errors
    /// The address is taken or no address, the agent is somebody else's, or the password has not the right length.
    pub async fn create(&self, new: NewUser) -> Result<User, UserError> {
        let email = email(&new.email)?;
        let name = domain::PersonName::parse(&new.name)?;
        let hash = self.hash(new.password).await?;
        let row: UserRow = sqlx::query_as(
            "INSERT INTO users (id, email, name, role, permissions, agent_id, password_hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *",
        )
        .bind(Uuid::now_v7())
        .bind(email)
        .bind(name.as_str())
        .bind(new.role.to_string())
        .bind(new.permissions.iter().map(ToString::to_string).collect::<Vec<_>>())
        .bind(new.agent_id)
        .bind(hash)
        .fetch_one(&self.pool)
        .await
        .map_err(|error| match error.as_database_error().and_then(|e| e.constraint()) {
            Some("users_email") => UserError::EmailTaken,
            Some("users_agent") => UserError::AgentTaken,
            _ => UserError::Database(error),
        })?;
        Ok(row.0)
    }

    /// Adds a first administrator when there is no user at all.
    ///
    /// # Errors
    /// As [`Users::create`]. `None`: there are users already.
    pub async fn create_first(&self, new: NewUser) -> Result<Option<User>, UserError> {
        if sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT FROM users)").fetch_one(&self.pool).await? {
            return Ok(None);
        }
        match self.create(new).await {
            Ok(user) => Ok(Some(user)),
            // Another process was faster.
            Err(UserError::EmailTaken) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Checks a password. `None`: there is no such user, the account is closed, or the password is wrong; which of them
    /// can't be told from the answer or from the time it takes.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn authenticate(&self, address: &str, password: String) -> Result<Option<User>, UserError> {
        let address = email(address).unwrap_or_default();
        let row = sqlx::query("SELECT * FROM users WHERE email = $1 AND disabled_at IS NULL")
            .bind(address)
            .fetch_optional(&self.pool)
            .await?;
        let hash = match &row {
            Some(row) => row.try_get("password_hash")?,
            None => NO_PASSWORD.to_owned(),
        };
        let fits = self.fits(password, hash).await?;
        row.filter(|_| fits).map(|row| UserRow::from_row(&row).map(|row| row.0)).transpose().map_err(Into::into)
    }

    /// One user, as of now or later.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn find(&self, id: Uuid) -> Result<Option<User>, UserError> {
        self.lookups.find(&self.pool, id).await
    }

    /// The user with an address.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn find_by_email(&self, address: &str) -> Result<Option<User>, UserError> {
        let row: Option<UserRow> = sqlx::query_as("SELECT * FROM users WHERE email = $1")
            .bind(email(address)?)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.0))
    }

    /// Users in the order they were added, after one of them.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn page(&self, after: Option<Uuid>, limit: i64) -> Result<Vec<User>, UserError> {
        let rows: Vec<UserRow> =
            sqlx::query_as("SELECT * FROM users WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2")
                .bind(after)
                .bind(limit)
                .fetch_all(&self.pool)
                .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// The same backwards: the users who were added last, or last before one of them. In the order they were added.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn page_before(&self, before: Option<Uuid>, limit: i64) -> Result<Vec<User>, UserError> {
        let rows: Vec<UserRow> =
            sqlx::query_as("SELECT * FROM users WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC LIMIT $2")
                .bind(before)
                .bind(limit)
                .fetch_all(&self.pool)
                .await?;
        Ok(rows.into_iter().rev().map(|row| row.0).collect())
    }

    /// Users by id, in no order; those that are not known are left out.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn by_ids(&self, ids: &[Uuid]) -> Result<Vec<User>, UserError> {
        let rows: Vec<UserRow> =
            sqlx::query_as("SELECT * FROM users WHERE id = ANY($1)").bind(ids).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// Changes role and further permissions; all earlier tokens become worthless.
    ///
    /// # Errors
    /// There is no such user.
    pub async fn set_role(&self, id: Uuid, role: Role, permissions: &[Permission]) -> Result<User, UserError> {
        let row: Option<UserRow> = sqlx::query_as(
            "UPDATE users SET role = $2, permissions = $3, token_version = token_version + 1 WHERE id = $1 RETURNING *",
        )
        .bind(id)
        .bind(role.to_string())
        .bind(permissions.iter().map(ToString::to_string).collect::<Vec<_>>())
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| row.0).ok_or(UserError::Unknown)
    }

    /// Sets a new password; all earlier tokens become worthless.
    ///
    /// # Errors
    /// There is no such user, or the password has not the right length.
    pub async fn set_password(&self, id: Uuid, password: String) -> Result<User, UserError> {
        let hash = self.hash(password).await?;
        let row: Option<UserRow> = sqlx::query_as(
            "UPDATE users SET password_hash = $2, token_version = token_version + 1 WHERE id = $1 RETURNING *",
        )
        .bind(id)
        .bind(hash)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| row.0).ok_or(UserError::Unknown)
    }

    /// Closes an account, or opens it again; all earlier tokens become worthless.
    ///
    /// # Errors
    /// There is no such user.
    pub async fn set_disabled(&self, id: Uuid, disabled: bool) -> Result<User, UserError> {
        let row: Option<UserRow> = sqlx::query_as(
            "UPDATE users SET disabled_at = CASE WHEN $2 THEN coalesce(disabled_at, now()) END,
                              token_version = token_version + 1
             WHERE id = $1 RETURNING *",
        )
        .bind(id)
        .bind(disabled)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| row.0).ok_or(UserError::Unknown)
    }

    async fn hash(&self, password: String) -> Result<String, UserError> {
        if password.chars().count() < PASSWORD_LENGTH_MIN || password.len() > PASSWORD_BYTES_MAX {
            return Err(UserError::PasswordInvalid);
        }
        self.computed(move || {
            // The defaults of the crate are OWASP's: argon2id, 19 MiB, two passes, one lane.
            let hash = Argon2::default().hash_password(password.as_bytes());
            hash.map(|hash| hash.to_string()).map_err(|error| UserError::Hash(error.to_string()))
        })
        .await
    }

    async fn fits(&self, password: String, hash: String) -> Result<bool, UserError> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        self.computed(move || {
            let hash = PasswordHash::new(&hash).map_err(|error| UserError::Hash(error.to_string()))?;
            Ok(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
    }

    async fn computed<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, UserError> + Send + 'static,
    ) -> Result<T, UserError> {
        let place = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| UserError::Busy)?;
        let turn = Arc::clone(&self.hashing).acquire_owned().await;
        let turn = turn.map_err(|error| UserError::Hash(error.to_string()))?;
        // Held by the work itself, which goes on when whoever asked has gone.
        let work = move || {
            let _held = (place, turn);
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| UserError::Hash(error.to_string()))?
    }
}

/// An address in lower case. Whether mail arrives is not checked; that it could be one is.
fn email(text: &str) -> Result<String, UserError> {
    const LENGTH_MAX: usize = 254;
    let text = text.trim().to_lowercase();
    let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    match text.split_once('@') {
        Some((local, host)) if plain && !local.is_empty() && !host.is_empty() && !host.contains('@') => {
            if text.len() <= LENGTH_MAX { Ok(text) } else { Err(UserError::EmailInvalid) }
        }
        _ => Err(UserError::EmailInvalid),
    }
}

struct UserRow(User);

impl FromRow<'_, PgRow> for UserRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let role: Role = row.try_get::<&str, _>("role")?.parse().map_err(|e| sqlx::Error::Decode(Box::new(e)))?;
        let mut permissions = role.permissions();
        for text in row.try_get::<Vec<String>, _>("permissions")? {
            permissions.extend([Permission::parse(&text).map_err(|e| sqlx::Error::Decode(Box::new(e)))?]);
        }
        Ok(Self(User {
            id: row.try_get("id")?,
            email: row.try_get("email")?,
            name: row.try_get("name")?,
            role,
            permissions,
            agent_id: row.try_get("agent_id")?,
            token_version: row.try_get("token_version")?,
            disabled_at: row.try_get("disabled_at")?,
        }))
    }
}
