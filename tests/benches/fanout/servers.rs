//! The two servers that are compared.

use std::time::Duration;

use api::Limits;
use domain::permission::Role;
use futures_util::SinkExt;
use tests::{TestDatabase, TestServer};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::child::input;

/// The whole system, until standard input ends.
pub(crate) async fn voice() {
    let database = TestDatabase::new().await;
    let limits = Limits { dashboard_every: Duration::ZERO, sockets_per_viewer: 10_000, ..Limits::default() };
    let server = TestServer::start_with(&database, limits).await;
    let client = server.signed_in(Role::Admin).await;
    println!("{}\n{}", server.address, client.token().unwrap());
    let mut lines = input();
    while lines.recv().await.is_some() {}
    server.stop().await;
}

/// A broadcast of one frame to every socket, as often as standard input has a line.
pub(crate) async fn broadcast(frame: String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let (sender, _) = broadcast::channel::<Utf8Bytes>(16);
    let accepting = sender.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let sender = accepting.clone();
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                let mut frames = sender.subscribe();
                socket.send(Message::text("hello")).await.unwrap();
                while let Ok(frame) = frames.recv().await {
                    if socket.send(Message::Text(frame)).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let frame = Utf8Bytes::from(frame);
    let mut lines = input();
    while lines.recv().await.is_some() {
        sender.send(frame.clone()).unwrap();
    }
}
