//! The routes over a silo in the process and over a client of it.

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use quark::{
    client::Client,
    silo::{Silo, SiloHandle, SiloOptions},
};
use serde_json::{Value, json};
use tower::ServiceExt;
use web::server::{Carts, routes};

async fn silo(cluster: &str) -> SiloHandle {
    let options = SiloOptions {
        name: "web".into(),
        cluster: cluster.into(),
        store: format!("memory:{cluster}"),
        handle_signals: false,
        ..SiloOptions::default()
    };
    Silo::builder().options(options).start().await.expect("starts")
}

async fn request(carts: &Carts, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json");
    let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
    let request = request.body(body).expect("a request");
    let response = routes(carts.clone()).oneshot(request).await.expect("infallible");
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn handlers_ask_actors_here_and_elsewhere() {
    let silo = silo("carts").await;
    let client = Client::builder().cluster("carts").seeds([silo.address()]);
    let client = client.connect().await.expect("connects");
    let (here, elsewhere) = (Carts::Here(silo.clone()), Carts::Elsewhere(client));
    let tea = |quantity: u32| Some(json!({ "sku": "tea", "quantity": quantity }));
    let first = request(&here, "POST", "/carts/alice/lines", tea(2)).await;
    assert_eq!(first, (StatusCode::OK, json!({ "tea": 2 })));
    let second = request(&elsewhere, "POST", "/carts/alice/lines", tea(3)).await;
    assert_eq!(second, (StatusCode::OK, json!({ "tea": 5 })), "it is the same cart");
    for carts in [&here, &elsewhere] {
        let shown = request(carts, "GET", "/carts/alice", None).await;
        assert_eq!(shown, (StatusCode::OK, json!({ "tea": 5 })));
        let other = request(carts, "GET", "/carts/bob", None).await;
        assert_eq!(other, (StatusCode::OK, json!({})));
    }
    silo.stop().await.expect("stops");
}

#[tokio::test]
async fn a_silo_that_has_ended_is_no_service() {
    let silo = silo("ended").await;
    let carts = Carts::Here(silo.clone());
    silo.stop().await.expect("stops");
    let (status, _) = request(&carts, "GET", "/carts/alice", None).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn what_is_no_request_reaches_no_actor() {
    let silo = silo("bad").await;
    let carts = Carts::Here(silo.clone());
    let (status, _) = request(&carts, "POST", "/carts/alice/lines", Some(json!({ "sku": 7 }))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(silo.status().activations.get("cart"), None);
    silo.stop().await.expect("stops");
}
