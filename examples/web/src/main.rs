//! `web` alone is a silo and a web server in one process; `web silo` and `web front` are the two apart.
//!
//! ```sh
//! cargo run -p web                                            # http://127.0.0.1:8080
//! curl -X POST localhost:8080/carts/alice/lines -H 'content-type: application/json' -d '{"sku":"tea","quantity":2}'
//! curl localhost:8080/carts/alice
//!
//! cargo run -p web -- silo --listen 127.0.0.1:7001            # as many as wanted, on one store
//! cargo run -p web -- front --silo 127.0.0.1:7001             # as many as wanted
//! ```

use clap::{Parser, Subcommand};
use quark::{
    client::Client,
    silo::{Silo, SiloHandle},
};
use std::error::Error;
use tokio::net::TcpListener;
use web::server::{Carts, routes};

/// Carts behind HTTP.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Where to listen for HTTP
    #[arg(long, global = true, default_value = "127.0.0.1:8080")]
    http: String,
    /// The store that silos share
    #[arg(long, global = true, default_value = "embedded:web.db")]
    store: String,
    /// Where a silo listens for silos and clients
    #[arg(long, global = true, default_value = "127.0.0.1:0")]
    listen: String,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Hosts carts, without a web server
    Silo,
    /// A web server without carts of its own
    Front {
        /// The address of any silo; more than one may be given
        #[arg(long = "silo", required = true)]
        silos: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    match &arguments.role {
        None => {
            let silo = start(&arguments).await?;
            serve(&arguments.http, Carts::Here(silo.clone())).await?;
            silo.stop().await?;
        }
        Some(Role::Silo) => {
            start(&arguments).await?.run_until_shutdown().await?;
        }
        Some(Role::Front { silos }) => {
            let client = Client::connect(silos.clone()).await?;
            serve(&arguments.http, Carts::Elsewhere(client.clone())).await?;
            client.close().await;
        }
    }
    Ok(())
}

async fn start(arguments: &Arguments) -> Result<SiloHandle, Box<dyn Error>> {
    let silo = Silo::builder()
        .name(format!("web-{}", std::process::id()))
        .store(arguments.store.clone())
        .listen(arguments.listen.clone())
        // With a web server beside it, that is asked to end first.
        .handle_signals(arguments.role.is_some());
    Ok(silo.start().await?)
}

/// Serves until Ctrl-C; requests that have begun are answered first.
async fn serve(address: &str, carts: Carts) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    let ended = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("signals cannot be heard: {error}");
        }
    };
    axum::serve(listener, routes(carts))
        .with_graceful_shutdown(ended)
        .await?;
    Ok(())
}
