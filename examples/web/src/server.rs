//! The routes, and what becomes of an ask that ends in no reply.

use crate::cart::{Add, Cart, Lines, Show};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use quark::{
    actor::{ActorRef, CallError},
    client::Client,
    silo::SiloHandle,
    wire::Ran,
};

/// Where the carts are: in this process too, or only elsewhere. Handlers need not know.
#[derive(Clone, Debug)]
pub enum Carts {
    /// This process is a silo of the cluster.
    Here(SiloHandle),
    /// It is a client.
    Elsewhere(Client),
}

impl Carts {
    fn of(&self, customer: &str) -> ActorRef<Cart> {
        match self {
            Self::Here(silo) => silo.actor(customer),
            Self::Elsewhere(client) => client.actor(customer),
        }
    }
}

/// `GET /carts/CUSTOMER` and `POST /carts/CUSTOMER/lines`.
pub fn routes(carts: Carts) -> Router {
    Router::new()
        .route("/carts/{customer}", get(show))
        .route("/carts/{customer}/lines", post(add))
        .with_state(carts)
}

async fn show(State(carts): State<Carts>, Path(customer): Path<String>) -> Result<Json<Lines>, Failed> {
    Ok(Json(carts.of(&customer).ask(Show).await?))
}

async fn add(
    State(carts): State<Carts>,
    Path(customer): Path<String>,
    Json(add): Json<Add>,
) -> Result<Json<Lines>, Failed> {
    match carts.of(&customer).ask(add).await? {
        Ok(lines) => Ok(Json(lines)),
        Err(why) => Err(Failed::NotSaved(why)),
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub enum Failed {
    /// The ask ended in an error.
    Call(CallError),
    /// The cart could not be saved.
    NotSaved(String),
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        match self {
            Self::Call(error) => {
                let status = match error {
                    CallError::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
                    CallError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
                    // Nothing has happened: the caller may send it again.
                    _ if error.ran() == Ran::No => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::BAD_GATEWAY,
                };
                (status, [(RETRY_AFTER, "1")], error.to_string()).into_response()
            }
            Self::NotSaved(why) => (StatusCode::INTERNAL_SERVER_ERROR, why).into_response(),
        }
    }
}
