//! Samples of machines and services: Prometheus remote-write and OTLP metrics, as rows of `host_metrics`.

mod otlp;
mod remote_write;
mod series;
mod wire;

pub(super) use otlp::otlp_metrics;
pub(super) use remote_write::remote_write;
