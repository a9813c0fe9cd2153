use atalaya_model::{Language, MetricSpec, Series};
use leptos::prelude::*;

use crate::{api, cohorts::Cohorts, live, movements::Movements, tile::Tile};

/// The metrics of the tiles, in reading order.
const TILES: [&str; 8] = [
    "mrr",
    "arr",
    "customers",
    "arpa",
    "revenue",
    "logo_churn_rate",
    "gross_mrr_churn_rate",
    "net_mrr_churn_rate",
];

/// Months before the present one that are asked for.
const MONTHS: u32 = 13;

/// An answer of the server, once there is one.
pub(crate) type Answer = Option<Result<Series, String>>;

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

/// The address says the language; else the last choice; else the browser.
fn first_language() -> Language {
    let search = window().location().search().unwrap_or_default();
    let asked = web_sys::UrlSearchParams::new_with_str(&search)
        .ok()
        .and_then(|search| search.get("lang"));
    let kept = storage().and_then(|storage| storage.get_item("language").ok().flatten());
    let spoken = window().navigator().language();
    let wanted = asked.or(kept).or(spoken).unwrap_or_default();
    if wanted.starts_with("es") {
        Language::Es
    } else {
        Language::En
    }
}

fn keep_language(language: Language) {
    if let Some(element) = document().document_element() {
        let _ = element.set_attribute("lang", language.code());
    }
    if let Some(storage) = storage() {
        let _ = storage.set_item("language", language.code());
    }
    if let Ok(history) = window().history() {
        let address = format!("?lang={}", language.code());
        let _ = history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&address));
    }
}

/// The one board of this release.
#[component]
pub(crate) fn Board() -> impl IntoView {
    let language = RwSignal::new(first_language());
    Effect::new(move |_| keep_language(language.get()));
    let (version, heard) = live::listen();
    let home = LocalResource::new(move || {
        version.track();
        api::home()
    });
    let specs = LocalResource::new(api::metrics);
    let months = |metric: &'static str| {
        LocalResource::new(move || {
            let home = home.get();
            async move {
                match home {
                    Some(Ok(home)) => Some(api::months(metric, home.today, MONTHS).await),
                    Some(Err(error)) => Some(Err(error)),
                    None => None,
                }
            }
        })
    };
    let spec = move |metric: &'static str| -> Option<MetricSpec> {
        specs
            .get()
            .and_then(Result::ok)
            .and_then(|specs: Vec<MetricSpec>| specs.into_iter().find(|spec| spec.id == metric))
    };
    let now = Signal::derive(move || home.get().and_then(Result::ok).map(|home| home.now));
    let tiles = TILES
        .map(|metric| {
            let answer = months(metric);
            let answer = Signal::derive(move || answer.get().flatten());
            view! { <Tile metric=metric spec=Signal::derive(move || spec(metric)) answer=answer language=language now=now/> }
        })
        .into_iter()
        .collect_view();
    let mrr = months("mrr");
    let moved = months("mrr_movements");
    let cohorts = months("cohort_retention");
    view! {
        <header class="top">
            <div>
                <h1>{move || home.get().and_then(Result::ok).map_or_else(|| "Atalaya".to_owned(), |home| home.settings.company)}</h1>
                <div class="where">{move || home.get().and_then(Result::ok).map(|home| {
                    format!("{} · {}", language.get().day(home.today), home.settings.time_zone)
                })}</div>
            </div>
            <span class="spring"></span>
            <span class="live" class:off=move || !heard.get()>
                {move || if heard.get() { language.get().pick("live", "en vivo") } else { language.get().pick("no connection", "sin conexión") }}
            </span>
            <span class="switch" role="group" aria-label="Language · Idioma">
                <button aria-pressed=move || (language.get() == Language::En).to_string() on:click=move |_| language.set(Language::En)>"EN"</button>
                <button aria-pressed=move || (language.get() == Language::Es).to_string() on:click=move |_| language.set(Language::Es)>"ES"</button>
            </span>
        </header>
        <main>
            <div class="tiles">{tiles}</div>
            <Movements
                mrr=Signal::derive(move || mrr.get().flatten())
                moved=Signal::derive(move || moved.get().flatten())
                spec=Signal::derive(move || spec("mrr_movements"))
                language=language
            />
            <Cohorts answer=Signal::derive(move || cohorts.get().flatten()) spec=Signal::derive(move || spec("cohort_retention")) language=language/>
        </main>
        <footer class="note">
            {move || language.get().pick(
                "Every figure carries its proof: identities are checked with each computation, and a second engine recomputes it behind.",
                "Cada cifra lleva su prueba: las identidades se comprueban en cada cálculo y un segundo motor lo repite detrás.",
            )}
        </footer>
    }
}
