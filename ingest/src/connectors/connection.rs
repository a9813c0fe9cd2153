//! A connection of `sources.toml`: whom it asks, and with what.

use serde::Deserialize;

use super::{
    Connector, ConnectorError, Surroundings,
    github::{self, Github},
    google_ads::{self, GoogleAds},
    hubspot::{self, Hubspot},
    singer::{self, Singer},
    stripe::Stripe,
    zendesk::Zendesk,
};
use crate::sources::Secret;

/// A source that is asked.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its name: in the `source` column of every row.
    pub name: String,
    /// Another address than the vendor's, for tests and proxies.
    pub(crate) base_url: Option<String>,
    /// How often it is asked while a home is served, in seconds.
    pub every_secs: u32,
    pub(crate) vendor: Vendor,
    key: Secret,
}

/// Whom a connection asks, and what only that vendor has to be told.
#[derive(Debug, Clone)]
pub(crate) enum Vendor {
    Stripe,
    Github(github::Options),
    Hubspot(hubspot::Options),
    Zendesk,
    GoogleAds(google_ads::Options),
    Singer(singer::Options),
}

/// A connection as it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawConnection {
    pub(crate) name: String,
    vendor: VendorName,
    pub(crate) key_variable: Option<String>,
    pub(crate) key_file: Option<String>,
    base_url: Option<String>,
    every_secs: Option<u32>,
    github: Option<github::Options>,
    hubspot: Option<hubspot::Options>,
    google_ads: Option<google_ads::Options>,
    singer: Option<singer::Options>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VendorName {
    Stripe,
    Github,
    Hubspot,
    Zendesk,
    GoogleAds,
    Singer,
}

/// A connection's name, the field that is wrong, and why.
type Wrong = (String, &'static str, String);

impl RawConnection {
    /// Whether it is nothing without a key: a tap has its own.
    pub(crate) fn needs_key(&self) -> bool {
        self.vendor != VendorName::Singer
    }

    /// Checks what is said, with the key that it names; `read` gives a file of the home.
    pub(crate) fn check(self, key: Secret, read: impl Fn(&str) -> Result<String, String>) -> Result<Connection, Wrong> {
        let wrong = |field: &'static str, reason: String| (self.name.clone(), field, reason);
        // A day's reports are restated for weeks and asked for by the day; everything else is news.
        let usual = if self.vendor == VendorName::GoogleAds {
            3_600
        } else {
            300
        };
        let every_secs = self.every_secs.unwrap_or(usual);
        if !(10..=86_400).contains(&every_secs) {
            return Err(wrong("every_secs", format!("{every_secs} is not between 10 and 86400")));
        }
        let options = [
            ("github", self.github.is_some(), VendorName::Github),
            ("hubspot", self.hubspot.is_some(), VendorName::Hubspot),
            ("google_ads", self.google_ads.is_some(), VendorName::GoogleAds),
            ("singer", self.singer.is_some(), VendorName::Singer),
        ];
        if let Some((field, ..)) = options
            .iter()
            .find(|(_, is_said, vendor)| *is_said && *vendor != self.vendor)
        {
            return Err(wrong(field, "belongs to another vendor".to_owned()));
        }
        let missing = |field: &'static str| wrong(field, "is missing".to_owned());
        let vendor = match self.vendor {
            VendorName::Stripe => Vendor::Stripe,
            VendorName::Github => {
                let options = self.github.clone().ok_or_else(|| missing("github"))?;
                options.check().map_err(|reason| wrong("github.repositories", reason))?;
                Vendor::Github(options)
            }
            VendorName::Hubspot => Vendor::Hubspot(self.hubspot.clone().unwrap_or_default()),
            VendorName::Zendesk if self.base_url.is_none() => return Err(missing("base_url")),
            VendorName::Zendesk => Vendor::Zendesk,
            VendorName::GoogleAds => {
                let options = self.google_ads.clone().ok_or_else(|| missing("google_ads"))?;
                options.check().map_err(|(field, reason)| wrong(field, reason))?;
                Vendor::GoogleAds(options)
            }
            VendorName::Singer => {
                let mut options = self.singer.clone().ok_or_else(|| missing("singer"))?;
                options.load(read).map_err(|(field, reason)| wrong(field, reason))?;
                Vendor::Singer(options)
            }
        };
        Ok(Connection {
            name: self.name,
            base_url: self.base_url,
            every_secs,
            vendor,
            key,
        })
    }
}

impl Connection {
    /// What proves to the vendor who asks.
    pub(crate) fn key(&self) -> String {
        String::from_utf8_lossy(&self.key.0).into_owned()
    }

    /// The vendor's name.
    pub(crate) fn vendor_name(&self) -> &'static str {
        match self.vendor {
            Vendor::Stripe => "stripe",
            Vendor::Github(_) => "github",
            Vendor::Hubspot(_) => "hubspot",
            Vendor::Zendesk => "zendesk",
            Vendor::GoogleAds(_) => "google_ads",
            Vendor::Singer(_) => "singer",
        }
    }

    /// How the identities begin of what has to be compared with what was told before; `None` where all objects tell when
    /// they changed.
    pub(crate) fn compared(&self) -> Option<&'static str> {
        match self.vendor {
            Vendor::Github(_) => Some(github::COMPARED),
            Vendor::GoogleAds(_) => Some(google_ads::COMPARED),
            Vendor::Singer(_) => Some(singer::COMPARED),
            _ => None,
        }
    }

    /// The connector.
    pub(crate) fn open(&self, around: &Surroundings) -> Result<Box<dyn Connector>, ConnectorError> {
        Ok(match &self.vendor {
            Vendor::Stripe => Box::new(Stripe::new(self, around)?),
            Vendor::Github(options) => Box::new(Github::new(self, options, around)?),
            Vendor::Hubspot(options) => Box::new(Hubspot::new(self, options, around)?),
            Vendor::Zendesk => Box::new(Zendesk::new(self, around)?),
            Vendor::GoogleAds(options) => Box::new(GoogleAds::new(self, options, around)?),
            Vendor::Singer(options) => Box::new(Singer::new(self, options, around)),
        })
    }
}
