//! Pages of other origins, as browsers ask for them.

use api::Policy;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tests::Refusal;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::World;

const DESK: &str = "https://desk.example.com";
const EVIL: &str = "https://evil.test";

fn policy() -> Policy {
    Policy { origins: vec![DESK.parse().unwrap()], ..Policy::default() }
}

#[tokio::test]
async fn answers_are_for_pages_of_allowed_origins() {
    let world = World::new(policy()).await;
    let client = reqwest::Client::new();
    let preflight = async |path: &str, origin: &str| -> HeaderMap {
        let request = client.request(Method::OPTIONS, format!("http://{}{path}", world.server.address));
        let request = request.header("origin", origin).header("access-control-request-method", "POST");
        let request = request.header("access-control-request-headers", "authorization,content-type");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.headers().clone()
    };
    for path in ["/graphql", "/events/dashboard", "/events/ticket"] {
        let allowed = preflight(path, DESK).await;
        assert_eq!(allowed["access-control-allow-origin"], DESK, "{path}");
        let headers = allowed["access-control-allow-headers"].to_str().unwrap();
        assert!(headers.contains("authorization") && headers.contains("content-type"), "{headers}");
        assert!(allowed.get("access-control-allow-credentials").is_none(), "no cookies are involved");
        assert!(preflight(path, EVIL).await.get("access-control-allow-origin").is_none(), "{path}");
    }
    let asked = async |origin: &str| {
        let request = world.client.post().header("origin", origin).json(&json!({ "query": "{ __typename }" }));
        request.send().await.unwrap().headers().clone()
    };
    assert_eq!(asked(DESK).await["access-control-allow-origin"], DESK);
    let stranger = asked(EVIL).await;
    assert!(stranger.get("access-control-allow-origin").is_none());
    for (name, value) in [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")] {
        assert_eq!(stranger[name], value);
    }
    assert!(stranger["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
    world.server.stop().await;
}

#[tokio::test]
async fn a_socket_is_not_opened_for_a_page_of_another_origin() {
    let world = World::new(policy()).await;
    let open = async |origin: Option<&str>| {
        let mut request = format!("ws://{}/graphql", world.server.address).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        connect_async(request).await.map(drop)
    };
    open(None).await.unwrap();
    open(Some(DESK)).await.unwrap();
    open(Some(&format!("http://{}", world.server.address))).await.unwrap();
    for origin in [EVIL, "null", "http://desk.example.com", "https://desk.example.com.evil.test"] {
        match open(Some(origin)).await {
            Err(Error::Http(response)) => {
                assert_eq!(response.status(), 403, "{origin}");
                let answer: Value = serde_json::from_slice(response.body().as_deref().unwrap()).unwrap();
                assert_eq!(Refusal::of(&answer).code, "ORIGIN_NOT_ALLOWED");
            }
            other => panic!("{origin}: {other:?}"),
        }
    }
    world.server.stop().await;
}
