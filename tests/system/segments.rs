//! Segments of a company whose customers move: no past month changes, and every segment adds up by hand.

use atalaya_tests::Home;

/// `stays` (50 dollars) in Spain. `moves` (100 dollars) goes from Spain to Mexico on 10 March and takes a larger plan on the 20th
/// (150). `euros` (100 euros, worth 100.00 at February's end and 110.00 at March's) moves with it. What customers are comes from
/// the file of the shop; the CRM only knows channels.
pub(crate) fn home() -> Home {
    let mut home = Home::new();
    let land = |home: &Home, name: &str, text: &str, kind: &str| {
        let said = home.import(&home.file(name, text), kind);
        assert_eq!(said.code, Some(0), "{}", said.err);
    };
    home.now = Some("2026-01-05T10:00:00Z".to_owned());
    let mut rates = "rate_on,currency,quote_currency,rate\n".to_owned();
    for day in [
        "01-09", "01-16", "01-23", "01-30", "02-06", "02-13", "02-20", "02-27", "03-06", "03-13", "03-20", "03-27",
    ] {
        rates += &format!("2026-{day},EUR,USD,1.00\n");
    }
    rates += "2026-03-31,EUR,USD,1.10\n";
    land(&home, "rates.csv", &rates, "fx_rates");
    let shop = "customer_id,country,created_at\nstays,ES,2026-01-01\nmoves,ES,2026-01-01\neuros,ES,2026-01-01\n";
    land(&home, "shop1.csv", shop, "customers");
    let states = "customer_id,subscription_id,item_id,plan,status,unit_price,currency,interval,valid_from\n\
                  stays,s1,i1,basic,active,50,USD,month,2026-01-10\n\
                  moves,s2,i2,basic,active,100,USD,month,2026-01-10\n\
                  euros,s3,i3,basic,active,100,EUR,month,2026-01-10\n";
    land(&home, "states1.csv", states, "subscriptions");
    home.now = Some("2026-03-10T12:00:00Z".to_owned());
    let moved = "customer_id,country,created_at\nmoves,MX,2026-01-01\neuros,MX,2026-01-01\n";
    land(&home, "shop2.csv", moved, "customers");
    // What says nothing of a country does not take it away.
    let crm = "record_key,customer_id,channel,created_at\ncrm1,moves,search,2026-01-01\n";
    land(&home, "crm.csv", crm, "customers");
    home.now = Some("2026-03-20T12:00:00Z".to_owned());
    let grown = "customer_id,subscription_id,item_id,plan,status,unit_price,currency,interval,valid_from\n\
                 moves,s2,i2,pro,active,150,USD,month,2026-03-20T12:00:00Z\n";
    land(&home, "states2.csv", grown, "subscriptions");
    home.now = Some("2026-04-02T10:00:00Z".to_owned());
    home
}

/// The cells that are wanted of a metric's answer.
fn rows(home: &Home, words: &[&str], wanted: &[&str]) -> Vec<String> {
    let words = [&["metric"], words, &["--format", "csv"]].concat();
    let text = home.ok(&words);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let heads = reader.headers().unwrap().clone();
    let place = |name: &&str| {
        let place = heads.iter().position(|head| head == *name);
        place.unwrap_or_else(|| panic!("{name} in {heads:?}"))
    };
    let places: Vec<usize> = wanted.iter().map(place).collect();
    let mut found = Vec::new();
    for row in reader.records() {
        let row = row.unwrap();
        let cells: Vec<&str> = places.iter().map(|place| &row[*place]).collect();
        found.push(cells.join(" "));
    }
    found
}

const ASKED: [&str; 4] = ["--from", "2026-01-01", "--to", "2026-04-01"];

#[test]
fn a_move_is_a_transfer_and_leaves_the_months_before_it_alone() {
    let home = home();
    let mrr = rows(
        &home,
        &[&["mrr", "--by", "country"], &ASKED[..]].concat(),
        &["period", "country", "value_minor"],
    );
    assert_eq!(
        mrr,
        [
            "2026-01-01 ES 25000",
            "2026-02-01 ES 25000",
            "2026-03-01 ES 5000",
            "2026-03-01 MX 26000"
        ]
    );
    let moved = rows(
        &home,
        &[&["mrr_movement_events", "--by", "country"], &ASKED[..]].concat(),
        &["period", "country", "movement", "value_minor"],
    );
    assert_eq!(
        moved,
        [
            "2026-01-01 ES new 25000",
            "2026-03-01 ES fx 1000",
            "2026-03-01 ES transfer_out -21000",
            "2026-03-01 MX expansion 5000",
            "2026-03-01 MX transfer_in 21000",
        ]
    );
    // By plan, only the larger plan moves something; undivided, nothing is transferred.
    let by_plan = rows(
        &home,
        &[&["mrr_movement_events", "--by", "plan"], &ASKED[..]].concat(),
        &["period", "plan", "movement", "value_minor"],
    );
    assert_eq!(
        by_plan[1..],
        [
            "2026-03-01 basic fx 1000",
            "2026-03-01 basic transfer_out -10000",
            "2026-03-01 pro expansion 5000",
            "2026-03-01 pro transfer_in 10000",
        ]
    );
    let undivided = rows(
        &home,
        &[&["mrr_movement_events"], &ASKED[..]].concat(),
        &["period", "movement", "value_minor"],
    );
    assert_eq!(
        undivided,
        [
            "2026-01-01 new 25000",
            "2026-03-01 expansion 5000",
            "2026-03-01 fx 1000"
        ]
    );
}
