//! One `SELECT` for many moments of knowledge: every relation that hangs on a moment gets a column that tells whose rows they
//! are, and every join, grouping and window keeps them apart. What was a question about one moment is then one about all.

use std::{collections::BTreeSet, ops::ControlFlow};

use datafusion::sql::sqlparser::{
    ast::{
        BinaryOperator, Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, Query, Select, SelectItem,
        SetExpr, SetOperator, Statement, TableFactor, TableWithJoins, Value, VisitMut, WindowType,
        visit_expressions_mut,
    },
    dialect::DuckDbDialect,
    parser::Parser,
};

use crate::EngineError;

/// The column that tells whose rows they are, and the table of all moments, which has a row for each.
pub const VINTAGE: &str = "vintage";

/// The table of all moments.
pub const VINTAGES: &str = "vintages";

/// What the moments are called within a `SELECT`.
const OWN: &str = "of_vintage";

/// Lifts a `SELECT` over the relations in `lifted`, which have a column [`VINTAGE`] already. None where it reads none of them.
///
/// # Errors
/// Where it has something that the dialect of definitions does not: whoever asks must ask each moment by itself.
pub fn lift(select: &str, lifted: &BTreeSet<String>) -> Result<Option<String>, EngineError> {
    let refused = |reason: String| EngineError::Lift(reason);
    let mut statements = Parser::parse_sql(&DuckDbDialect {}, select).map_err(|error| refused(error.to_string()))?;
    let [Statement::Query(query)] = statements.as_mut_slice() else {
        return Err(refused("it is not one SELECT".to_owned()));
    };
    let is_lifted = of_query(query, lifted).map_err(refused)?;
    Ok(is_lifted.then(|| query.to_string()))
}

fn column(relation: &str, name: &str) -> Expr {
    Expr::CompoundIdentifier(vec![Ident::new(relation), Ident::new(name)])
}

fn named(expr: Expr, name: &str) -> SelectItem {
    SelectItem::ExprWithAlias {
        expr,
        alias: Ident::new(name),
    }
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

/// Lifts a query in place; whether it hangs on a moment at all.
fn of_query(query: &mut Query, outside: &BTreeSet<String>) -> Result<bool, String> {
    if query.limit_clause.is_some() || query.fetch.is_some() {
        return Err("a limit would be shared by all moments".to_owned());
    }
    let mut known = outside.clone();
    if let Some(with) = &mut query.with {
        for cte in &mut with.cte_tables {
            let name = cte.alias.name.value.clone();
            if of_query(&mut cte.query, &known)? {
                known.insert(name);
            } else {
                known.remove(&name);
            }
        }
    }
    of_body(&mut query.body, &known)
}

fn of_body(body: &mut SetExpr, known: &BTreeSet<String>) -> Result<bool, String> {
    match body {
        SetExpr::Select(select) => of_select(select, known),
        SetExpr::Query(query) => of_query(query, known),
        SetExpr::SetOperation { op, left, right, .. } => {
            if !matches!(op, SetOperator::Union) {
                return Err(format!("{op} is not in the dialect"));
            }
            let (is_left, is_right) = (of_body(left, known)?, of_body(right, known)?);
            if is_left && !is_right {
                for_every_moment(right)?;
            } else if is_right && !is_left {
                for_every_moment(left)?;
            }
            Ok(is_left || is_right)
        }
        _ => Err("something is read that is no SELECT".to_owned()),
    }
}

/// A side of a union that is the same at all moments.
fn for_every_moment(body: &mut SetExpr) -> Result<(), String> {
    match body {
        SetExpr::Select(select) => lift_select(select, &BTreeSet::new()),
        _ => Err("a union within a union hangs on no moment".to_owned()),
    }
}

fn of_select(select: &mut Select, known: &BTreeSet<String>) -> Result<bool, String> {
    let mut reads = false;
    for table in &mut select.from {
        for factor in std::iter::once(&mut table.relation).chain(table.joins.iter_mut().map(|join| &mut join.relation))
        {
            reads |= prepare(factor, known)?;
        }
    }
    let mut has_subquery = false;
    let _ = visit_expressions_mut(&mut select.projection, |expr| {
        has_subquery |= is_subquery(expr);
        ControlFlow::<()>::Continue(())
    });
    let _ = visit_expressions_mut(&mut select.selection, |expr| {
        has_subquery |= is_subquery(expr);
        ControlFlow::<()>::Continue(())
    });
    if has_subquery {
        return Err("a question within a condition is not in the dialect".to_owned());
    }
    if reads {
        lift_select(select, known)?;
    }
    Ok(reads)
}

fn is_subquery(expr: &Expr) -> bool {
    matches!(expr, Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. })
}

/// Lifts what a relation is made of; whether its rows hang on a moment.
fn prepare(factor: &mut TableFactor, known: &BTreeSet<String>) -> Result<bool, String> {
    match factor {
        TableFactor::Table { name, .. } => Ok(known.contains(&name.to_string())),
        TableFactor::Derived { subquery, alias, .. } => {
            let is_lifted = of_query(subquery, known)?;
            if is_lifted && alias.is_none() {
                return Err("a SELECT that is read has no name".to_owned());
            }
            if is_lifted && !has_vintage(&subquery.body) {
                return Err("a SELECT that is read has all columns of a relation".to_owned());
            }
            Ok(is_lifted)
        }
        _ => Err("a relation is neither a table nor a SELECT".to_owned()),
    }
}

/// The name under which a relation with moments is read; none where it is the same at all of them.
fn lifted_name(factor: &TableFactor, known: &BTreeSet<String>) -> Option<String> {
    match factor {
        TableFactor::Table { name, alias, .. } => {
            let own = name.to_string();
            let called = alias.as_ref().map(|alias| alias.name.value.clone());
            known.contains(&own).then(|| called.unwrap_or(own))
        }
        TableFactor::Derived { subquery, alias, .. } => {
            let is_lifted = has_vintage(&subquery.body);
            alias
                .as_ref()
                .filter(|_| is_lifted)
                .map(|alias| alias.name.value.clone())
        }
        _ => None,
    }
}

/// Whether a lifted query gives the moments' column: those that were lifted give it first.
fn has_vintage(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => {
            let names =
                |item: &SelectItem| matches!(item, SelectItem::ExprWithAlias { alias, .. } if alias.value == VINTAGE);
            select.projection.iter().any(names)
        }
        SetExpr::SetOperation { left, .. } => has_vintage(left),
        SetExpr::Query(query) => has_vintage(&query.body),
        _ => false,
    }
}

fn lift_select(select: &mut Select, known: &BTreeSet<String>) -> Result<(), String> {
    let [only] = select.from.as_mut_slice() else {
        return Err("relations are joined by words, not by commas".to_owned());
    };
    if !select.named_window.is_empty() {
        return Err("windows with names are not in the dialect".to_owned());
    }
    let own = join_moments(only, known)?;
    for item in &mut select.projection {
        let _ = visit_expressions_mut(item, |expr| {
            keep_windows_apart(expr, &own);
            ControlFlow::<()>::Continue(())
        });
    }
    let is_grouped = matches!(&select.group_by, GroupByExpr::Expressions(by, _) if !by.is_empty());
    let is_total = !is_grouped && aggregates(&mut select.projection);
    let of_nothing = select.having.clone().filter(|_| is_total).map(of_nothing);
    // A total that is told only where there is something: no moment has a row for nothing.
    let is_told_of_nothing = match of_nothing.map(|having| having.to_string()) {
        None => true,
        Some(having) if having == "0 > 0" => false,
        Some(_) => return Err("a total with a condition".to_owned()),
    };
    if !begins_with_everything(select, known)? {
        select.projection.insert(0, named(own.clone(), VINTAGE));
    }
    match &mut select.group_by {
        GroupByExpr::Expressions(by, _) if is_grouped || is_total => by.insert(0, own),
        GroupByExpr::Expressions(..) => {}
        GroupByExpr::All(_) => return Err("GROUP BY ALL is not in the dialect".to_owned()),
    }
    if is_total && is_told_of_nothing {
        for_empty_moments(select)?;
    }
    Ok(())
}

/// Whether the answer begins with all columns of a relation that has moments, and so with its moments.
fn begins_with_everything(select: &Select, known: &BTreeSet<String>) -> Result<bool, String> {
    let relations = select.from.iter().flat_map(|table| {
        let joined = table.joins.iter().map(|join| &join.relation);
        std::iter::once(&table.relation).chain(joined)
    });
    let lifted: Vec<String> = relations.filter_map(|factor| lifted_name(factor, known)).collect();
    let mut begins = false;
    for (place, item) in select.projection.iter().enumerate() {
        match item {
            SelectItem::Wildcard(_) => return Err("all columns of all relations".to_owned()),
            SelectItem::QualifiedWildcard(kind, _)
                if lifted.iter().any(|name| kind.to_string() == format!("{name}.*")) =>
            {
                if place > 0 {
                    return Err("all columns stand behind other columns".to_owned());
                }
                begins = true;
            }
            _ => {}
        }
    }
    Ok(begins)
}

/// Reads every relation only as it was at the moment of the first one; the column that tells that moment. Where the first
/// relation is the same at all moments, the moments themselves are read before it.
fn join_moments(table: &mut TableWithJoins, known: &BTreeSet<String>) -> Result<Expr, String> {
    let first = lifted_name(&table.relation, known);
    let own = column(first.as_deref().unwrap_or(OWN), VINTAGE);
    for join in &mut table.joins {
        let Some(name) = lifted_name(&join.relation, known) else {
            continue;
        };
        let same = binary(column(&name, VINTAGE), BinaryOperator::Eq, own.clone());
        let joined = |constraint: &JoinConstraint| match constraint {
            JoinConstraint::On(on) => Ok(JoinConstraint::On(binary(
                Expr::Nested(Box::new(on.clone())),
                BinaryOperator::And,
                same.clone(),
            ))),
            JoinConstraint::None => Ok(JoinConstraint::On(same.clone())),
            _ => Err("a join without ON".to_owned()),
        };
        join.join_operator = match &join.join_operator {
            JoinOperator::Join(on) | JoinOperator::Inner(on) | JoinOperator::CrossJoin(on) => {
                JoinOperator::Inner(joined(on)?)
            }
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => JoinOperator::Left(joined(on)?),
            _ => return Err("a join that is not in the dialect".to_owned()),
        };
    }
    if first.is_none() {
        let moments = relation(VINTAGES, OWN)?;
        let was_first = std::mem::replace(&mut table.relation, moments);
        table.joins.insert(
            0,
            Join {
                relation: was_first,
                global: false,
                join_operator: JoinOperator::CrossJoin(JoinConstraint::None),
            },
        );
    }
    Ok(own)
}

/// A table under a name.
fn relation(table: &str, alias: &str) -> Result<TableFactor, String> {
    let parser = Parser::new(&DuckDbDialect {}).try_with_sql(&format!("{table} AS {alias}"));
    let parsed = parser.and_then(|mut parser| parser.parse_table_factor());
    parsed.map_err(|error| error.to_string())
}

fn keep_windows_apart(expr: &mut Expr, own: &Expr) {
    if let Expr::Function(function) = expr
        && let Some(WindowType::WindowSpec(spec)) = &mut function.over
    {
        spec.partition_by.insert(0, own.clone());
    }
}

/// Functions that make one row of many.
fn is_aggregate(expr: &Expr) -> bool {
    let Expr::Function(function) = expr else {
        return false;
    };
    let name = function.name.to_string().to_lowercase();
    function.over.is_none() && matches!(name.as_str(), "count" | "min" | "max" | "sum" | "money_sum")
}

fn aggregates<V: VisitMut>(items: &mut V) -> bool {
    let found = visit_expressions_mut(items, |expr| {
        if is_aggregate(expr) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    found.is_break()
}

/// What totals are where there is nothing to add up.
fn of_nothing(mut expr: Expr) -> Expr {
    let _ = visit_expressions_mut(&mut expr, |expr| {
        if is_aggregate(expr) {
            let is_count = expr.to_string().to_lowercase().starts_with("count(");
            *expr = Expr::value(if is_count {
                Value::Number("0".to_owned(), false)
            } else {
                Value::Null
            });
        }
        ControlFlow::<()>::Continue(())
    });
    expr
}

/// A total has a row also where there is nothing to add up: so must every moment.
fn for_empty_moments(select: &mut Select) -> Result<(), String> {
    const TOTALS: &str = "totals";
    let mut shown = Vec::new();
    for item in &select.projection {
        let SelectItem::ExprWithAlias { expr, alias } = item else {
            return Err(format!("the total {item} has no name"));
        };
        if alias.value == VINTAGE {
            shown.push(format!("{OWN}.{VINTAGE} AS {VINTAGE}"));
            continue;
        }
        let of_nothing = of_nothing(expr.clone());
        shown.push(format!(
            "CASE WHEN {TOTALS}.{VINTAGE} IS NULL THEN {of_nothing} ELSE {TOTALS}.{alias} END AS {alias}"
        ));
    }
    let text = format!(
        "SELECT {} FROM {VINTAGES} AS {OWN} LEFT JOIN ({select}) AS {TOTALS} ON {TOTALS}.{VINTAGE} = {OWN}.{VINTAGE}",
        shown.join(", ")
    );
    let parsed = Parser::new(&DuckDbDialect {}).try_with_sql(&text);
    let query = parsed.and_then(|mut parser| parser.parse_query());
    let query = query.map_err(|error| error.to_string())?;
    let SetExpr::Select(around) = *query.body else {
        return Err("a total cannot be read".to_owned());
    };
    *select = *around;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifted(select: &str) -> Result<Option<String>, String> {
        let known = ["t".to_owned(), "u".to_owned()].into();
        lift(select, &known).map_err(|error| error.to_string())
    }

    #[test]
    fn joins_groups_and_windows_keep_moments_apart() {
        let found =
            lifted("SELECT t.a, money_sum(u.b) AS b FROM t LEFT JOIN u ON u.a = t.a CROSS JOIN policy GROUP BY t.a");
        assert_eq!(
            found.unwrap().unwrap(),
            "SELECT t.vintage AS vintage, t.a, money_sum(u.b) AS b FROM t LEFT JOIN u ON (u.a = t.a) AND u.vintage = t.vintage \
             CROSS JOIN policy GROUP BY t.vintage, t.a"
        );
        let found = lifted(
            "WITH x AS (SELECT a FROM policy), y AS (SELECT DISTINCT z.a FROM t z) \
             SELECT x.a, LAG(y.a) OVER (ORDER BY y.a) AS b FROM x CROSS JOIN y",
        );
        assert_eq!(
            found.unwrap().unwrap(),
            "WITH x AS (SELECT a FROM policy), y AS (SELECT DISTINCT z.vintage AS vintage, z.a FROM t z) \
             SELECT of_vintage.vintage AS vintage, x.a, LAG(y.a) OVER (PARTITION BY of_vintage.vintage ORDER BY y.a) AS b \
             FROM vintages AS of_vintage CROSS JOIN x INNER JOIN y ON y.vintage = of_vintage.vintage"
        );
    }

    #[test]
    fn what_hangs_on_no_moment_stays_as_it_is() {
        assert_eq!(lifted("SELECT a FROM policy"), Ok(None));
    }

    #[test]
    fn a_total_of_nothing_has_a_row_at_every_moment() {
        assert_eq!(
            lifted("SELECT COUNT(*) - 1 AS n, MAX(t.a) AS a FROM t WHERE t.a > 2")
                .unwrap()
                .unwrap(),
            "SELECT of_vintage.vintage AS vintage, CASE WHEN totals.vintage IS NULL THEN 0 - 1 ELSE totals.n END AS n, \
             CASE WHEN totals.vintage IS NULL THEN NULL ELSE totals.a END AS a FROM vintages AS of_vintage \
             LEFT JOIN (SELECT t.vintage AS vintage, COUNT(*) - 1 AS n, MAX(t.a) AS a FROM t WHERE t.a > 2 GROUP BY t.vintage) \
             AS totals ON totals.vintage = of_vintage.vintage"
        );
    }

    #[test]
    fn a_total_that_is_told_of_something_only_has_no_row_of_nothing() {
        let found = lifted("SELECT MAX(t.a) AS a FROM t HAVING COUNT(*) > 0");
        assert_eq!(
            found.unwrap().unwrap(),
            "SELECT t.vintage AS vintage, MAX(t.a) AS a FROM t GROUP BY t.vintage HAVING COUNT(*) > 0"
        );
    }

    #[test]
    fn what_cannot_be_lifted_is_refused() {
        for (select, reason) in [
            ("SELECT a FROM t LIMIT 3", "a limit"),
            (
                "SELECT a FROM t WHERE a IN (SELECT a FROM u)",
                "a question within a condition",
            ),
            ("SELECT a FROM t, u", "by commas"),
            ("SELECT a FROM t FULL JOIN u ON u.a = t.a", "not in the dialect"),
            (
                "SELECT COUNT(*) AS n FROM t HAVING COUNT(*) > 1",
                "a total with a condition",
            ),
            ("SELECT COUNT(*) FROM t", "has no name"),
            ("SELECT 1 AS x, t.* FROM t", "behind other columns"),
            ("SELECT * FROM t CROSS JOIN u", "all columns of all"),
            (
                "SELECT d.a FROM policy LEFT JOIN (SELECT t.*, 1 AS k FROM t) d ON d.a = 1",
                "has all columns of a relation",
            ),
            (
                "SELECT LAG(t.a) OVER w AS b FROM t WINDOW w AS (ORDER BY t.a)",
                "windows with names",
            ),
        ] {
            let error = lifted(select).unwrap_err();
            assert!(error.contains(reason), "{select}: {error}");
        }
    }
}
