//! Accounts that the program makes by itself: the first administrator, and the importer of `voice up`.

use anyhow::{Context, Result};
use commands::{NewUser, UserError, Users};
use domain::permission::Role;

pub(crate) const ADMIN: &str = "admin@voice.local";
pub(crate) const IMPORTER: &str = "importer@voice.local";
/// Bytes of a password that is made here.
const PASSWORD_BYTES: usize = 18;

/// Makes the first administrator on a system without users; the password is returned once and kept nowhere.
pub(crate) async fn first_administrator(users: &Users) -> Result<Option<String>> {
    let new = account(ADMIN, "Administrator", Role::Admin);
    let password = new.password.clone();
    Ok(users.create_first(new).await?.map(|_| password))
}

/// A user for the import that this process runs, with a password that nobody else ever knows.
pub(crate) async fn importer_password(users: &Users) -> Result<String> {
    let new = account(IMPORTER, "Importer", Role::Supervisor);
    let password = new.password.clone();
    match users.create(new).await {
        Ok(_) => {}
        Err(UserError::EmailTaken) => {
            let user = users.find_by_email(IMPORTER).await?.context("the importer's account is gone")?;
            users.set_password(user.id, password.clone()).await?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(password)
}

fn account(email: &str, name: &str, role: Role) -> NewUser {
    let (email, name) = (email.to_owned(), name.to_owned());
    NewUser { email, name, role, permissions: Vec::new(), agent_id: None, password: password() }
}

fn password() -> String {
    // Letters and digits that are not mistaken for one another; 32 of them, so that a byte's low bits choose evenly.
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let bytes: [u8; PASSWORD_BYTES] = rand::random();
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}
