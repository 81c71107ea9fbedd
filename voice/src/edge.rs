//! What the program is told about the edge to clients: what it shows, whom it answers, and how much each may ask for.

use std::path::PathBuf;

use anyhow::{Context, Result};
use api::{Limits, Origin, Policy, Statuses, TrustedDocuments};
use clap::{Args, ValueEnum};

use crate::import;
use crate::limits::{self, Setting};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Edge")]
pub(crate) struct EdgeArgs {
    /// For installations that strangers can reach: introspection and GraphiQL are off, and errors suggest no names. Where
    /// the clients are your own, give their documents as well.
    #[arg(long, env = "VOICE_PRODUCTION")]
    production: bool,
    /// Execute only the documents of this manifest, except for administrators: {"<id>": "<document>"} as GraphQL Code
    /// Generator and relay-compiler write it, or Apollo's persisted query manifest.
    #[arg(long, env = "VOICE_TRUSTED_DOCUMENTS", value_name = "FILE")]
    trusted_documents: Option<PathBuf>,
    /// Web pages of these origins may use the API, beside those of its own: https://desk.example.com,...
    #[arg(long, env = "VOICE_ALLOWED_ORIGINS", value_name = "ORIGINS", value_delimiter = ',')]
    allowed_origins: Vec<Origin>,
    /// Which status codes answers over HTTP have.
    #[arg(long, env = "VOICE_STATUS_CODES", value_enum, default_value_t)]
    status_codes: StatusCodes,
    /// How much one client may ask for, and all of them together, such as depth=10,batch=1.
    #[arg(long = "limit", env = "VOICE_LIMITS", value_name = "NAME=N", value_delimiter = ',', value_parser = limits::setting,
          long_help = limits::help())]
    limits: Vec<Setting>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum StatusCodes {
    /// As the audit suite of npm graphql-http asks for: 400 for what can't be executed, and 200 for all that is well-formed
    /// where application/json is taken.
    #[default]
    Audited,
    /// As the draft of August 2026 has it: 422 for documents and variables that are not valid, 294 for results with errors,
    /// whichever media type is taken.
    Draft,
}

impl EdgeArgs {
    /// The limits, and what is shown to whom.
    pub(crate) fn read(&self) -> Result<(Limits, Policy)> {
        let limits = limits::with(&self.limits);
        let trusted = self.trusted_documents.as_ref().map(|path| {
            let manifest = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
            let mut trusted =
                TrustedDocuments::read(&manifest, &limits).with_context(|| format!("reading {}", path.display()))?;
            for (name, document) in import::documents() {
                trusted.add(name, document, &limits)?;
            }
            anyhow::Ok(trusted)
        });
        let policy = Policy {
            production: self.production,
            trusted: trusted.transpose()?,
            statuses: match self.status_codes {
                StatusCodes::Audited => Statuses::Audited,
                StatusCodes::Draft => Statuses::Draft,
            },
            origins: self.allowed_origins.clone(),
        };
        match &policy.trusted {
            Some(trusted) => tracing::info!(documents = trusted.len(), "only trusted documents are executed"),
            None if policy.production => tracing::info!("any document within the limits is executed"),
            None => {}
        }
        Ok((limits, policy))
    }
}
