//! What a PostgreSQL is really asked: a proxy in front of it that reads along.

use std::collections::HashMap;
use std::str::FromStr;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::TestDatabase;

/// Connections at most.
const CONNECTIONS: u32 = 20;

/// The statements that were executed over some connections.
pub struct Statements {
    executed: watch::Receiver<Vec<String>>,
}

impl Statements {
    /// Connections to a database whose statements are told.
    ///
    /// # Panics
    /// There is no way to it.
    pub async fn of(database: &TestDatabase) -> (PgPool, Self) {
        let options = PgConnectOptions::from_str(&database.url).unwrap();
        let server = (options.get_host().to_owned(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, executed) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, tell) = (server.clone(), tell.clone());
                tokio::spawn(async move {
                    let server = TcpStream::connect(server).await.unwrap();
                    client.set_nodelay(true).unwrap();
                    server.set_nodelay(true).unwrap();
                    let (from_client, mut to_client) = client.into_split();
                    let (mut from_server, to_server) = server.into_split();
                    tokio::select! {
                        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
                        _ = read_along(from_client, to_server, tell) => {}
                    }
                });
            }
        });
        let options = options.host("127.0.0.1").port(port).ssl_mode(PgSslMode::Disable);
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await.unwrap();
        (pool, Self { executed })
    }

    /// What is executed for this, once every transaction that it began is over.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> (T, Vec<String>) {
        let before = self.over(0).await;
        let done = work.await;
        let after = self.over(before).await;
        (done, self.executed.borrow()[before..after].to_vec())
    }

    /// How many statements there were when as many transactions were over as had begun, from one of them on.
    async fn over(&mut self, from: usize) -> usize {
        let count = |statements: &[String], word: &str| statements.iter().filter(|s| s.starts_with(word)).count();
        let over = |statements: &Vec<String>| {
            let since = &statements[from..];
            count(since, "BEGIN") == count(since, "ROLLBACK") + count(since, "COMMIT")
        };
        self.executed.wait_for(over).await.unwrap().len()
    }
}

/// Carries a client's messages to the server and notes what is executed. PostgreSQL documentation, "Message Formats": a
/// startup message without a type, then messages of a type, a length that counts itself, and a body.
async fn read_along(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    tell: watch::Sender<Vec<String>>,
) -> std::io::Result<()> {
    let (mut prepared, mut bound) = (HashMap::new(), HashMap::new());
    let length = client.read_u32().await?;
    carry(&mut client, &mut server, None, length).await?;
    loop {
        let kind = client.read_u8().await?;
        let length = client.read_u32().await?;
        let body = carry(&mut client, &mut server, Some(kind), length).await?;
        let mut texts = body.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
        let mut text = || texts.next().unwrap_or_default();
        match kind {
            b'P' => drop(prepared.insert(text(), text())),
            b'B' => {
                let (portal, statement) = (text(), text());
                bound.insert(portal, prepared.get(&statement).cloned().unwrap_or_default());
            }
            b'E' => tell.send_modify(|executed| executed.push(bound.get(&text()).cloned().unwrap_or_default())),
            b'Q' => tell.send_modify(|executed| executed.push(text())),
            _ => {}
        }
    }
}

async fn carry(
    client: &mut OwnedReadHalf,
    server: &mut OwnedWriteHalf,
    kind: Option<u8>,
    length: u32,
) -> std::io::Result<Vec<u8>> {
    let mut body = vec![0; length.saturating_sub(4) as usize];
    client.read_exact(&mut body).await?;
    let mut message: Vec<u8> = kind.into_iter().collect();
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(&body);
    server.write_all(&message).await?;
    Ok(body)
}
