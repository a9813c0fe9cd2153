//! How fast a vendor is asked: never faster than it allows, and slower when it says so.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use async_trait::async_trait;
use atalaya_model::Clock;
use governor::{
    Quota, RateLimiter, clock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};

/// So many questions in a second, one after the other.
pub(crate) fn per_second(questions: u32) -> Quota {
    let questions = NonZeroU32::new(questions).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(questions).allow_burst(NonZeroU32::MIN)
}

/// So many questions in any minute: half of them at once, and the other half spread over it.
pub(crate) fn per_minute(questions: u32) -> Quota {
    let half = NonZeroU32::new(questions / 2).unwrap_or(NonZeroU32::MIN);
    Quota::per_minute(half).allow_burst(half)
}

/// Lets time pass. Tests move their clock instead.
#[async_trait]
pub trait Pause: Send + Sync {
    /// Comes back after that time.
    async fn pause(&self, time: Duration);
}

/// Waits as long as it says.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealPause;

#[async_trait]
impl Pause for RealPause {
    #[allow(clippy::disallowed_methods, reason = "the one place that waits for a vendor")]
    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// The injected clock, as the bucket wants to see it.
#[derive(Clone)]
struct Ticks(Arc<dyn Clock>);

impl clock::Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(u64::try_from(self.0.now().timestamp_nanos_opt().unwrap_or_default()).unwrap_or_default())
    }
}

/// A bucket of requests, and patience.
pub(crate) struct Pace {
    bucket: RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Nanos>>,
    clock: Arc<dyn Clock>,
    pause: Arc<dyn Pause>,
}

impl Pace {
    pub(crate) fn new(quota: Quota, clock: Arc<dyn Clock>, pause: Arc<dyn Pause>) -> Self {
        Self {
            bucket: RateLimiter::direct_with_clock(quota, Ticks(Arc::clone(&clock))),
            clock,
            pause,
        }
    }

    /// Waits until the vendor may be asked again.
    pub(crate) async fn turn(&self) {
        while let Err(early) = self.bucket.check() {
            let now = clock::Clock::now(&Ticks(Arc::clone(&self.clock)));
            self.pause
                .pause(early.wait_time_from(now).max(Duration::from_millis(1)))
                .await;
        }
    }

    /// Waits before something is tried again: as long as the vendor said, and a little more, so that not all who were told
    /// the same come back at once.
    pub(crate) async fn wait(&self, secs: u64) {
        let spread = u64::from(self.clock.now().timestamp_subsec_millis()) * secs.clamp(1, 20) / 10;
        self.pause.pause(Duration::from_millis(secs * 1000 + spread)).await;
    }
}
