//! The API's own description, kept beside it.

use axum::Json;
use serde_json::{Value, json};

/// The OpenAPI 3.1 document.
pub fn document() -> Value {
    let parameter = |name: &str, required: bool, description: &str, schema: Value| json!({"name": name, "in": "query", "required": required, "description": description, "schema": schema});
    let day = json!({"type": "string", "format": "date"});
    let problem = json!({
        "description": "What is wrong, for people, and whether asking again may help.",
        "content": {"application/json": {"schema": {"type": "object", "required": ["error", "retry"],
            "properties": {"error": {"type": "string"}, "retry": {"type": "boolean"}}}}},
    });
    let ok = |description: &str, schema: Value| json!({"description": description, "content": {"application/json": {"schema": schema}}});
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Atalaya", "version": env!("CARGO_PKG_VERSION"), "description": "Figures with their proof."},
        "paths": {
            "/healthz": {"get": {"summary": "Whether figures can be read, and from which snapshot.",
                "responses": {"200": ok("It can.", json!({"type": "object"})), "503": problem}}},
            "/metrics": {"get": {"summary": "Numbers about the server itself, for Prometheus.",
                "responses": {"200": {"description": "OpenMetrics text.", "content": {"application/openmetrics-text": {}}}, "503": {
                    "description": "They cannot be read now."}}}},
            "/api/v1/home": {"get": {"summary": "The company's settings and its today.",
                "responses": {"200": ok("Settings.", json!({"type": "object"}))}}},
            "/api/v1/metrics": {"get": {"summary": "All metrics, by id.",
                "responses": {"200": ok("Specifications.", json!({"type": "array", "items": {"type": "object"}}))}}},
            "/api/v1/series": {"get": {"summary": "A metric's figures with status, freshness and proof.",
                "parameters": [
                    parameter("metric", true, "The metric's id.", json!({"type": "string"})),
                    parameter("from", false, "First day; a year back when absent.", day.clone()),
                    parameter("to", false, "First day no longer wanted; tomorrow when absent.", day),
                    parameter("grain", false, "Length of the periods.", json!({"enum": ["day", "week", "month", "quarter", "year"]})),
                    parameter("by", false, "Dimensions, divided by commas.", json!({"type": "string"})),
                    parameter("as_of", false, "Only what was known then.", json!({"type": "string", "format": "date-time"})),
                    parameter("known_by", false, "Whose knowledge.", json!({"enum": ["atalaya", "source"]})),
                ],
                "responses": {"200": ok("The series.", json!({"$ref": "#/components/schemas/Series"})),
                    "400": problem, "422": problem, "503": problem}}},
            "/api/v1/events": {"get": {"summary": "Server-sent events: `snapshot` after every commit and every proof.",
                "responses": {"200": {"description": "A stream.", "content": {"text/event-stream": {}}}}}},
        },
        "components": {"schemas": {"Series": {
            "type": "object",
            "required": ["metric", "unit", "grain", "dimensions", "points", "proof", "evaluated_at"],
            "properties": {
                "metric": {"type": "string"},
                "unit": {"enum": ["money", "money_micros", "money_per", "count", "ratio", "factor"]},
                "grain": {"type": "string"},
                "dimensions": {"type": "array", "items": {"type": "string"}},
                "points": {"type": "array", "items": {"type": "object", "required": ["period_on", "dimensions", "figure", "status"],
                    "properties": {
                        "period_on": {"type": "string", "format": "date"},
                        "dimensions": {"type": "array", "items": {"type": ["string", "null"]}},
                        "figure": {"type": "object", "description": "money: value_minor, currency; count: value; ratio: numerator, denominator; none: reason."},
                        "status": {"enum": ["open", "closed"]},
                    }}},
                "proof": {"type": "object", "properties": {
                    "state": {"enum": ["checked", "pending", "failed"]},
                    "definition_hash": {"type": "string"}, "policy": {"type": "string"}, "snapshot": {"type": "string"},
                    "failures": {"type": "array", "items": {"type": "string"}}}},
                "fresh_at": {"type": ["string", "null"], "format": "date-time"},
                "evaluated_at": {"type": "string", "format": "date-time"},
            },
        }}},
    })
}

pub(crate) async fn serve() -> Json<Value> {
    Json(document())
}
