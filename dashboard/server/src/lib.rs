//! The dashboard's server: a JSON API that curl and the browser use alike, live updates, and the embedded web client.
#![deny(missing_docs)]

mod api;
mod assets;
mod guard;
mod live;
mod openapi;

use std::{net::SocketAddr, sync::Arc};

use atalaya_metrics::Evaluator;
use atalaya_model::BoxFuture;
use axum::{Router, middleware, routing::get};
use thiserror::Error;
use tokio::{net::TcpListener, sync::watch};

pub use openapi::document as openapi_document;

/// Why the server could not be started.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The address is not on this machine.
    #[error(
        "{0} is not an address of this machine alone: without accounts and TLS the board is served on loopback only (127.0.0.1 or [::1])"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Serving ended.
    #[error("serving ended: {0}")]
    Serve(std::io::Error),
}

/// What `/metrics` tells Prometheus, as OpenMetrics text.
pub type Exposition = Arc<dyn Fn() -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) evaluator: Arc<Evaluator>,
    pub(crate) commits: watch::Receiver<u64>,
    pub(crate) cache: tokio::sync::Mutex<api::Cache>,
    pub(crate) exposition: Exposition,
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    router: Router,
    address: SocketAddr,
}

impl Server {
    /// Binds an address of this machine. `commits` changes whenever a new snapshot can be read.
    pub async fn bind(
        address: SocketAddr,
        evaluator: Arc<Evaluator>,
        commits: watch::Receiver<u64>,
        exposition: Exposition,
    ) -> Result<Self, ServerError> {
        if !address.ip().is_loopback() {
            return Err(ServerError::NotLoopback(address));
        }
        let listen = |source| ServerError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let shared = Arc::new(Shared {
            evaluator,
            commits,
            cache: tokio::sync::Mutex::new(api::Cache::default()),
            exposition,
        });
        let router = Router::new()
            .route("/healthz", get(api::health))
            .route("/metrics", get(api::expose))
            .route("/api/v1/home", get(api::home))
            .route("/api/v1/metrics", get(api::metrics))
            .route("/api/v1/series", get(api::series))
            .route("/api/v1/events", get(live::events))
            .route("/api/v1/openapi.json", get(openapi::serve))
            .fallback(assets::serve)
            .layer(middleware::from_fn(guard::guard))
            .with_state(shared);
        Ok(Self {
            listener,
            router,
            address,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the process ends.
    pub async fn run(self) -> Result<(), ServerError> {
        axum::serve(self.listener, self.router)
            .await
            .map_err(ServerError::Serve)
    }
}
