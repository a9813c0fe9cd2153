//! Bad input: a good message, and nothing lost.

use std::io::Write;

use atalaya_tests::Home;

const HEADER: &str = "customer_id,amount,currency,ordered_at\n";

fn orders(home: &Home) -> String {
    home.ok(&["sql", "SELECT count(*) AS n FROM orders_known", "--format", "csv"])
        .lines()
        .last()
        .unwrap_or_default()
        .to_owned()
}

/// The file is refused whole: exit code 2, the words, and nothing landed.
fn refused(name: &str, content: &[u8], words: &[&str]) {
    let home = Home::new();
    let said = home.import(&home.file(name, content), "orders");
    assert_eq!(said.code, Some(2), "{name}: {}", said.err);
    for word in words.iter().chain(&[name, "Nothing was imported"]) {
        assert!(said.err.contains(word), "{name}: {word:?} is missing in {}", said.err);
    }
    assert_eq!(orders(&home), "0", "{name}");
}

#[test]
fn files_that_cannot_be_read_are_refused_whole() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(HEADER.as_bytes()).unwrap();
    for row in 0..20_000 {
        writeln!(packed, "cus_{row},{row}.00,EUR,2026-01-31").unwrap();
    }
    let mut packed = packed.finish().unwrap();
    packed.truncate(packed.len() / 2);
    refused("truncated.csv.gz", &packed, &["truncated"]);
    refused(
        "semicolons.csv",
        b"customer_id;amount;currency;ordered_at\na;1;EUR;2026-01-31\n",
        &["delimiter", "line 1"],
    );
    refused(
        "twice.csv",
        b"customer_id,amount,amount,currency,ordered_at\n",
        &["\"amount\" twice", "columns 2 and 3"],
    );
    refused(
        "unnamed.csv",
        b"customer_id,,currency,ordered_at\n",
        &["column 2 has no name"],
    );
    refused(
        "missing.csv",
        b"customer,amount,currency,ordered_at\n",
        &["orders need customer_id", "--mapping"],
    );
    refused("text.parquet", b"this is not Parquet", &["not readable Parquet"]);
}

#[test]
fn a_line_without_end_is_refused_in_bounded_memory() {
    let home = Home::new();
    let megabytes = if atalaya_tests::soak() { 1024 } else { 64 };
    for (name, first) in [
        ("long.csv", HEADER),
        ("quote.csv", "customer_id,amount,currency,ordered_at\n\""),
        ("long.jsonl", "{\"a\": \""),
    ] {
        let path = home.file(name, first);
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..megabytes {
            file.write_all(&chunk).unwrap();
        }
        // Half of the line would not fit: the shell's limit is what keeps this test honest.
        let words = ["import", &path.to_string_lossy(), "--as", "orders"];
        let said = home.limited("ulimit -v 1500000", &words);
        assert_eq!(said.code, Some(2), "{name}: {}", said.err);
        assert!(
            said.err.contains("longer than 16 MiB") && said.err.contains(name),
            "{}",
            said.err
        );
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn rows_that_do_not_fit_are_kept_and_can_be_replayed() {
    let home = Home::new();
    let mut content = HEADER.as_bytes().to_vec();
    content.extend(b"ana,10.00,EUR,2026-01-31\nbea,10.00,EUR,31/01/2026\ncruz,10.00,EURO,2026-01-31\ndan,ten,EUR,2026-01-31\neva,10.00,EUR\n");
    content.extend(b"fe\xff,10.00,EUR,2026-01-31\ngil,10.00,EUR,2026-02-30\n");
    let said = home.import(&home.file("mixed.csv", &content), "orders");
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("1 orders landed, 6 dead letters"), "{}", said.err);
    let list = home.ok(&["dead-letters", "--format", "csv"]);
    for expected in [
        ",3,ordered_at,\"\"\"31/01/2026\"\" is not a time",
        ",4,currency,\"unknown currency \"\"EURO\"\"",
        ",5,amount,",
        ",6,,has 3 cells where the header has 4",
        ",7,,cell 1 is not UTF-8",
        ",8,ordered_at,",
    ] {
        assert!(list.contains(expected), "{expected:?} is missing in\n{list}");
    }
    // The same file again changes nothing, dead letters included.
    assert!(
        home.import(&home.file("renamed.csv", &content), "orders")
            .err
            .contains("imported before")
    );
    assert_eq!(home.ok(&["dead-letters", "--format", "csv"]).lines().count(), 7);
    // A mapping that knows the other way to write a day, and the wrong name of the euro.
    let mapping = home.file(
        "map.toml",
        "kind = \"orders\"\n[columns]\ncustomer_id = \"customer_id\"\namount_minor = { column = \"amount\", unit = \"major\" }\n\
         currency = { column = \"currency\", words = { EURO = \"EUR\" } }\nordered_at = { column = \"ordered_at\", format = \"%d/%m/%Y\" }\n",
    );
    let mapping = mapping.to_string_lossy();
    let replayed = home.run(&["dead-letters", "replay", "--mapping", &mapping]);
    assert_eq!(replayed.code, Some(1), "{}", replayed.err);
    assert!(replayed.err.contains("1 landed, 5 still dead"), "{}", replayed.err);
    assert_eq!(orders(&home), "2");
    let again = home.run(&["dead-letters", "replay", "--mapping", &mapping]);
    assert!(again.err.contains("0 landed, 5 still dead"), "{}", again.err);
    assert_eq!(orders(&home), "2");
}

#[test]
fn every_format_lands_the_same_rows() {
    let home = Home::new();
    let gz = {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed
            .write_all(b"customer_id\tamount_minor\tcurrency\tordered_at\tnote\nana\t1000\tEUR\t2026-01-31\tkept\n")
            .unwrap();
        packed.finish().unwrap()
    };
    for (name, content) in [
        ("a.csv", &b"customer_id,amount_minor,currency,ordered_at,note\nana,1000,EUR,2026-01-31,kept\n"[..]),
        ("b.tsv.gz", &gz),
        ("c.jsonl", b"{\"customer_id\": \"ana\", \"amount_minor\": 1000, \"currency\": \"EUR\", \"ordered_at\": \"2026-01-31\", \"note\": \"kept\"}\n"),
    ] {
        let said = home.import(&home.file(name, content), "orders");
        assert!(said.err.contains("1 orders landed, 0 dead letters"), "{name}: {}", said.err);
    }
    let rows = home.ok(&[
        "sql",
        "SELECT customer_id, amount_minor, extra, count(*) AS n FROM orders_known GROUP BY ALL",
        "--format",
        "csv",
    ]);
    assert_eq!(
        rows,
        "customer_id,amount_minor,extra,n\nana,1000,\"{\"\"note\"\":\"\"kept\"\"}\",3\n"
    );
}

#[test]
fn a_value_out_of_range_is_told_in_the_unit_of_the_file_and_an_error_once() {
    let home = Home::new();
    let path = home.file(
        "states.csv",
        "customer_id,subscription_id,item_id,status,unit_price,currency,interval,valid_from,discount_percent,tier_mode,price_id\n\
         ana,s1,i1,active,5,USD,month,2026-01-01,150,,\n\
         bea,s2,i2,active,-5.50,USD,month,2026-01-01,,,\n\
         cruz,s3,i3,active,0,USD,month,2026-01-01,,volume,nowhere\n",
    );
    let said = home.import(&path, "subscriptions").err;
    assert!(
        said.contains("line 2, discount_percent: 150 is not between 0 and 100"),
        "{said}"
    );
    assert!(said.contains("line 3, unit_price: -5.50 is not at least 0"), "{said}");
    let said = home.run(&["metric", "mrr"]).err;
    assert_eq!(
        said.trim(),
        "error: mrr: price nowhere has no tier in USD for quantity 1"
    );
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_behind() {
    let home = Home::new();
    let before = home.file("before.csv", format!("{HEADER}ana,1.00,EUR,2026-01-31\n"));
    assert_eq!(home.import(&before, "orders").code, Some(0));
    let mut content = HEADER.to_owned();
    for row in 0..60_000 {
        content += &format!("cus_{row},{}.{:02},EUR,2026-01-31\n", row * 7919 % 1000, row % 100);
    }
    let path = home.file("large.csv", content);
    // The system refuses to write files beyond this size, as a full disk refuses any.
    let words = ["import", &path.to_string_lossy(), "--as", "orders"];
    let said = home.limited("trap '' XFSZ; ulimit -f 64", &words);
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(
        said.err.contains("File too large") || said.err.contains("No space"),
        "{}",
        said.err
    );
    assert_eq!(orders(&home), "1");
    assert_eq!(home.import(&path, "orders").code, Some(0));
    assert_eq!(orders(&home), "60001");
}

#[test]
fn unknown_names_are_answered_with_the_known_ones() {
    let home = Home::new();
    let path = home.file("a.csv", HEADER);
    assert!(
        home.import(&path, "invoices")
            .err
            .contains("expected one of customers, subscriptions, orders")
    );
    assert_eq!(home.import(&path, "orders").code, Some(0));
    assert!(home.run(&["metric", "mmr"]).err.contains("there is no metric \"mmr\""));
    assert!(
        home.run(&["metric", "mrr", "--by", "colour"])
            .err
            .contains("it has: product, plan, country")
    );
    assert!(
        home.run(&["metric", "logo_churn_rate", "--grain", "day"])
            .err
            .contains("ask for month, quarter, year")
    );
    assert!(
        home.run(&["report", "nothing", "--month", "2026-01"])
            .err
            .contains("there are mrr_rollforward")
    );
    let nowhere = std::process::Command::new(atalaya_tests::program("atalaya"))
        .args(["--home", "/nonexistent/home", "metric", "mrr"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("is not a home"));
}
