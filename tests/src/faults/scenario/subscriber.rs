//! F23 to F26: those who watch.

use rand::RngExt;
use serde_json::json;

use super::{Cluster, Scale, crowd};
use crate::Client;

pub(super) async fn slow(cluster: &mut Cluster, scale: Scale) {
    cluster.watchers.hold(scale.of(8, 40));
    cluster.watchers.join(scale.of(8, 40), cluster.load.shared_call());
    cluster.load.hurry(true);
    cluster.load.more(scale.of(100, 500)).await;
    cluster.load.hurry(false);
    // Those who read have everything while the others have not begun to read.
    let head = cluster.head().await;
    cluster.watchers.reached(head).await;
    cluster.watchers.release();
    crowd::slow(cluster, scale).await;
}

pub(super) async fn storm(cluster: &mut Cluster, scale: Scale) {
    cluster.watchers.join(scale.of(30, 150), cluster.load.shared_call());
    for _ in 0..scale.of(3, 12) {
        let commands = cluster.luck.random_range(1..=5);
        cluster.load.more(commands).await;
        let which = cluster.luck.random_range(0..cluster.apis.len());
        cluster.apis[which].clients.cut();
    }
    cluster.apis.iter().for_each(|api| api.clients.cut());
    crowd::storm(cluster, scale).await;
}

pub(super) async fn wrong_cursors(cluster: &mut Cluster) {
    let client = Client::new(cluster.apis[0].clients.address, Some(cluster.token.clone()));
    let events =
        "subscription ($after: String) { events(fromStart: true, after: $after) { cursor event { position } } }";
    let mut subscription = client.subscribe(events, json!({})).await;
    let cursor = subscription.next().await["events"]["cursor"].as_str().expect("a cursor").to_owned();
    // Another first letter: another payload under the same signature.
    let other = if cursor.starts_with('A') { "B" } else { "A" };
    let forged = format!("{other}{}", &cursor[1..]);
    let refused = client.subscription_refused(events, json!({ "after": forged })).await;
    assert_eq!(refused.reason, "CURSOR_INVALID", "{refused:?}");
    let board = "subscription ($after: String) { queueBoard(after: $after) { cursor } }";
    let refused = client.subscription_refused(board, json!({ "after": cursor })).await;
    assert_eq!(refused.reason, "CURSOR_OF_OTHER_SCOPE", "{refused:?}");
    // The same one where it is good.
    let mut resumed = client.subscribe(events, json!({ "after": cursor })).await;
    assert_eq!(resumed.next().await["events"]["event"]["position"], 2);
}

pub(super) async fn node_killed(cluster: &mut Cluster, scale: Scale) {
    cluster.watchers.join(scale.of(30, 150), cluster.load.shared_call());
    cluster.load.more(5).await;
    crowd::node_killed(cluster, scale).await;
}
