//! How long customers stay: Kaplan–Meier, which assumes nothing, and the shifted beta-geometric model, which goes on where
//! observation ends. Both are estimates, in floating point, with an interval; no book entry comes from here.

use std::collections::BTreeMap;

/// Of a normal distribution, what 95 % lie within.
const Z_95: f64 = 1.959_963_984_540_054;

/// Days of a month on average.
pub const MONTH_DAYS: f64 = 365.25 / 12.0;

/// A lifetime: how many days, and whether it has ended or only been watched so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// Days.
    pub days: i64,
    /// Whether it has ended.
    pub has_ended: bool,
    /// How often it was renewed after the first month: calendar months, of 28 to 31 days.
    pub renewals: u32,
}

/// A step of the survival curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SurvivalStep {
    /// The day at which some left.
    pub day: i64,
    /// Who was there just before.
    pub at_risk: u32,
    /// Who left.
    pub ended: u32,
    /// The share that stays longer.
    pub survival: f64,
    /// Greenwood's standard error of that share.
    pub standard_error: f64,
}

/// An estimate with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Estimate {
    fn new(value: f64, standard_error: f64, least: f64, most: f64) -> Self {
        Self {
            value,
            low: (value - Z_95 * standard_error).max(least),
            high: (value + Z_95 * standard_error).min(most),
        }
    }

    /// The estimate of something that is so many times this.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        let ends = (self.low * factor, self.high * factor);
        Self {
            value: self.value * factor,
            low: ends.0.min(ends.1),
            high: ends.0.max(ends.1),
        }
    }
}

/// The Kaplan–Meier curve with Greenwood's errors. Who is watched until a day on which others leave was at risk on it.
pub fn kaplan_meier(lifetimes: &[Lifetime]) -> Vec<SurvivalStep> {
    let mut by_day: BTreeMap<i64, (u32, u32)> = BTreeMap::new();
    for lifetime in lifetimes {
        let (ended, all) = by_day.entry(lifetime.days).or_default();
        *ended += u32::from(lifetime.has_ended);
        *all += 1;
    }
    let mut at_risk = u32::try_from(lifetimes.len()).unwrap_or(u32::MAX);
    let (mut survival, mut sum) = (1.0, 0.0);
    let mut steps = Vec::new();
    for (day, (ended, all)) in by_day {
        if ended > 0 {
            let (risk, gone) = (f64::from(at_risk), f64::from(ended));
            survival *= 1.0 - gone / risk;
            if at_risk > ended {
                sum += gone / (risk * (risk - gone));
            }
            steps.push(SurvivalStep {
                day,
                at_risk,
                ended,
                survival,
                standard_error: survival * f64::sqrt(sum),
            });
        }
        at_risk -= all;
    }
    steps
}

/// Months that a customer stays on average within the horizon: the area under the curve. None where nobody has been watched
/// so long and somebody is still there: the curve ends before the horizon.
#[allow(clippy::cast_precision_loss, reason = "days of a life are few")]
pub fn restricted_mean_months(lifetimes: &[Lifetime], horizon_months: u32) -> Option<Estimate> {
    let horizon = f64::from(horizon_months) * MONTH_DAYS;
    let steps = kaplan_meier(lifetimes);
    let watched = lifetimes.iter().map(|lifetime| lifetime.days).max()? as f64;
    let all_left = steps.last().is_some_and(|step| step.survival <= 0.0);
    if watched < horizon && !all_left {
        return None;
    }
    let within: Vec<&SurvivalStep> = steps.iter().take_while(|step| (step.day as f64) < horizon).collect();
    // Areas from each step to the horizon, from the last to the first.
    let (mut area, mut until, mut variance) = (0.0, horizon, 0.0);
    for step in within.iter().rev() {
        area += step.survival * (until - step.day as f64);
        until = step.day as f64;
        let (risk, gone) = (f64::from(step.at_risk), f64::from(step.ended));
        if risk > gone {
            variance += area * area * gone / (risk * (risk - gone));
        }
    }
    let mean = area + until;
    Some(Estimate::new(mean, f64::sqrt(variance), 0.0, horizon).times(1.0 / MONTH_DAYS))
}

/// The shifted beta-geometric model of contracts that are renewed month by month (Fader and Hardie, 2007).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShiftedBetaGeometric {
    /// Shape of those who leave.
    pub alpha: f64,
    /// Shape of those who stay.
    pub beta: f64,
    /// The covariance of the logarithms of both, as (alpha, both, beta).
    covariance: (f64, f64, f64),
}

/// Customers by month: who left in each month of their life, and who was last seen after so many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MonthCounts {
    /// Left in month 1, 2, ...
    pub ended: Vec<u32>,
    /// Still there after 0, 1, 2, ... months.
    pub staying: Vec<u32>,
}

impl MonthCounts {
    /// Counts lifetimes by month.
    pub fn of(lifetimes: &[Lifetime]) -> Self {
        let mut counts = Self::default();
        for lifetime in lifetimes {
            let months = lifetime.renewals as usize;
            let of = if lifetime.has_ended {
                &mut counts.ended
            } else {
                &mut counts.staying
            };
            if of.len() <= months {
                of.resize(months + 1, 0);
            }
            of[months] += 1;
        }
        counts
    }

    fn log_likelihood(&self, alpha: f64, beta: f64) -> f64 {
        // Of month t: it is left with probability of being there times the chance of leaving.
        let (mut survival, mut total, mut month) = (0.0_f64, 0.0, 0.0);
        for index in 0..self.ended.len().max(self.staying.len()) {
            total += f64::from(self.staying.get(index).copied().unwrap_or(0)) * survival;
            month += 1.0;
            let all = alpha + beta + month - 1.0;
            total += f64::from(self.ended.get(index).copied().unwrap_or(0)) * (survival + f64::ln(alpha / all));
            survival += f64::ln((beta + month - 1.0) / all);
        }
        total
    }
}

impl ShiftedBetaGeometric {
    /// The most likely model; none where nobody or everybody has left, or the data tell no more than one number.
    pub fn fit(counts: &MonthCounts) -> Option<Self> {
        let ended: u32 = counts.ended.iter().sum();
        let months = counts.ended.iter().filter(|count| **count > 0).count();
        if ended == 0 || months < 2 {
            return None;
        }
        let at = |log: (f64, f64)| counts.log_likelihood(log.0.exp(), log.1.exp());
        let mut best = (0.0, 0.0);
        let mut step = 1.0;
        // Steps to the best neighbour, halved where none is better: slow, and always at the top of a single hill.
        while step > 1e-9 {
            let neighbours = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)];
            let next = neighbours
                .map(|(left, right)| (best.0 + f64::from(left) * step, best.1 + f64::from(right) * step))
                .into_iter()
                .filter(|log| log.0.abs() < 12.0 && log.1.abs() < 12.0)
                .max_by(|left, right| at(*left).total_cmp(&at(*right)))?;
            if at(next) > at(best) {
                best = next;
            } else {
                step /= 2.0;
            }
        }
        // The curvature at the top says how sure it is.
        let width = 1e-3;
        let second = |left: (f64, f64), right: (f64, f64)| {
            let point = |one: f64, other: f64| {
                at((
                    best.0 + one * left.0 + other * right.0,
                    best.1 + one * left.1 + other * right.1,
                ))
            };
            (point(width, width) - point(width, -width) - point(-width, width) + point(-width, -width))
                / (4.0 * width * width)
        };
        let (first, both, other) = (
            -second((1.0, 0.0), (1.0, 0.0)),
            -second((1.0, 0.0), (0.0, 1.0)),
            -second((0.0, 1.0), (0.0, 1.0)),
        );
        let determinant = first * other - both * both;
        if determinant <= 0.0 || best.0.abs() > 11.0 || best.1.abs() > 11.0 {
            return None;
        }
        Some(Self {
            alpha: best.0.exp(),
            beta: best.1.exp(),
            covariance: (other / determinant, -both / determinant, first / determinant),
        })
    }

    /// The share that is still there after so many months.
    pub fn survival(&self, months: u32) -> f64 {
        survival(self.alpha, self.beta, months)
    }

    /// Months that a customer stays within the horizon: paid at the beginning of each.
    pub fn months(&self, horizon_months: u32) -> Estimate {
        let mean = |alpha: f64, beta: f64| {
            (0..horizon_months)
                .map(|month| survival(alpha, beta, month))
                .sum::<f64>()
        };
        let value = mean(self.alpha, self.beta);
        let width: f64 = 1e-4;
        let slope = |up: (f64, f64)| {
            let by = |sign: f64| {
                mean(
                    self.alpha * (sign * up.0 * width).exp(),
                    self.beta * (sign * up.1 * width).exp(),
                )
            };
            (by(1.0) - by(-1.0)) / (2.0 * width)
        };
        let (by_alpha, by_beta) = (slope((1.0, 0.0)), slope((0.0, 1.0)));
        let (first, both, other) = self.covariance;
        let variance = by_alpha * by_alpha * first + 2.0 * by_alpha * by_beta * both + by_beta * by_beta * other;
        Estimate::new(value, f64::sqrt(variance.max(0.0)), 0.0, f64::from(horizon_months))
    }
}

fn survival(alpha: f64, beta: f64, months: u32) -> f64 {
    (0..months)
        .map(|month| (beta + f64::from(month)) / (alpha + beta + f64::from(month)))
        .product()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(days: i64, has_ended: bool) -> Lifetime {
        Lifetime {
            days,
            has_ended,
            renewals: 0,
        }
    }

    /// Weeks of remission under 6-mercaptopurine (Freireich and others, 1963), the textbook's example.
    fn remissions() -> Vec<Lifetime> {
        let ended = [6, 6, 6, 7, 10, 13, 16, 22, 23].map(|days| life(days, true));
        let watched = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35].map(|days| life(days, false));
        ended.into_iter().chain(watched).collect()
    }

    fn is_near(left: f64, right: f64, tolerance: f64) -> bool {
        (left - right).abs() <= tolerance
    }

    #[test]
    fn the_curve_of_the_textbook() {
        let steps = kaplan_meier(&remissions());
        let expected = [
            (6, 21, 0.857, 0.0764),
            (7, 17, 0.807, 0.0869),
            (10, 15, 0.753, 0.0963),
            (13, 12, 0.690, 0.1068),
            (16, 11, 0.627, 0.1141),
            (22, 7, 0.538, 0.1282),
            (23, 6, 0.448, 0.1346),
        ];
        assert_eq!(steps.len(), expected.len());
        for (step, (day, at_risk, share, error)) in steps.iter().zip(expected) {
            assert_eq!((step.day, step.at_risk), (day, at_risk));
            assert!(is_near(step.survival, share, 0.0006), "{step:?}");
            assert!(is_near(step.standard_error, error, 0.00006), "{step:?}");
        }
    }

    #[test]
    fn the_mean_within_a_horizon_is_the_area_under_the_curve() {
        // Two of four leave after 30 days and one after 60; one is watched for 400.
        let lives = [(30, true), (30, true), (60, true), (400, false)].map(|(days, has_ended)| life(days, has_ended));
        let horizon = 12.0 * MONTH_DAYS;
        let area = 30.0 + 0.5 * 30.0 + 0.25 * (horizon - 60.0);
        let mean = restricted_mean_months(&lives, 12).unwrap();
        assert!(is_near(mean.value, area / MONTH_DAYS, 1e-9), "{mean:?}");
        assert!(mean.low >= 0.0 && mean.low < mean.value && mean.value < mean.high && mean.high <= 12.0);
        // Nobody has been watched for two years: the curve does not reach so far.
        assert_eq!(restricted_mean_months(&lives, 24), None);
        // Where all have left, it does.
        let gone = lives.map(|life| Lifetime {
            has_ended: true,
            ..life
        });
        assert!(restricted_mean_months(&gone, 24).is_some());
        assert_eq!(restricted_mean_months(&[], 12), None);
    }

    #[test]
    fn the_model_of_the_paper() {
        // "High End" customers of Fader and Hardie: alpha 0.668, beta 3.806.
        let counts = MonthCounts {
            ended: vec![131, 126, 90, 60, 42, 34, 26],
            staying: vec![0, 0, 0, 0, 0, 0, 0, 491],
        };
        let model = ShiftedBetaGeometric::fit(&counts).unwrap();
        assert!(
            is_near(model.alpha, 0.668, 0.001) && is_near(model.beta, 3.806, 0.005),
            "{model:?}"
        );
        // Their table: 49 % are there after seven years, and about 38 % after twelve.
        assert!(is_near(model.survival(7), 0.491, 0.01) && is_near(model.survival(12), 0.380, 0.01));
        let months = model.months(12);
        assert!(months.low < months.value && months.value < months.high, "{months:?}");
    }

    #[test]
    fn where_nothing_can_be_told_there_is_no_model() {
        let none = |ended: &[u32], staying: &[u32]| {
            ShiftedBetaGeometric::fit(&MonthCounts {
                ended: ended.to_vec(),
                staying: staying.to_vec(),
            })
        };
        assert_eq!(none(&[], &[0, 10]), None, "nobody left");
        assert_eq!(none(&[5], &[0, 10]), None, "all left in one month");
    }

    #[test]
    fn lives_are_counted_by_renewals() {
        let lives = [(true, 0), (true, 0), (true, 1), (false, 1), (false, 0)].map(|(has_ended, renewals)| Lifetime {
            days: 31,
            has_ended,
            renewals,
        });
        let counts = MonthCounts::of(&lives);
        assert_eq!((counts.ended, counts.staying), (vec![2, 1], vec![1, 1]));
    }

    #[test]
    fn a_loss_keeps_its_interval_in_order() {
        let loss = Estimate::new(4.0, 0.5, 0.0, 9.0).times(-10.0);
        assert!(loss.low < loss.value && loss.value < loss.high, "{loss:?}");
    }
}
