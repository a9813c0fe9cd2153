//! One owner of a home: a second `serve` is refused, other commands work through the first.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use atalaya_tests::Home;

pub(crate) struct Serving {
    child: Child,
    pub(crate) address: String,
    /// Where it takes events, when it was told to.
    pub(crate) events: String,
}

impl Serving {
    /// Ends it as a power loss would: without a word.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, as a service manager does; whether it ended well.
    pub(crate) fn terminate(&mut self) -> bool {
        let asked = std::process::Command::new("kill")
            .arg(self.id().to_string())
            .status()
            .unwrap();
        assert!(asked.success());
        self.child.wait().unwrap().success()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) {
        self.child.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts `serve` on a free port and waits until it says where.
pub(crate) fn serve(home: &Home, more: &[&str], variables: &[(&str, &str)]) -> Serving {
    let words = [&["serve", "--listen", "127.0.0.1:0"][..], more].concat();
    let mut child = home
        .command(&words)
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut told = || {
        let mut before = Vec::new();
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some((_, address)) = line.split_once("http://") {
                return address.trim().to_owned();
            }
            before.push(line);
        }
        panic!("serve ended before it said where it listens:\n{}", before.join("\n"));
    };
    let address = told();
    let events = if more.contains(&"--receive") {
        told()
    } else {
        String::new()
    };
    // Somebody must go on listening, or the server would block on a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Serving { child, address, events }
}

#[test]
fn commands_beside_a_server_work_through_it() {
    let home = Home::new();
    let header = "customer_id,amount,currency,ordered_at\n";
    home.import(
        &home.file("first.csv", format!("{header}ana,1.00,USD,2026-01-31\n")),
        "orders",
    );
    let _serving = serve(&home, &[], &[]);

    let second = home.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, Some(2));
    assert!(second.err.contains("in use by another process"), "{}", second.err);

    let through = home.import(
        &home.file("second.csv", format!("{header}bea,2.00,USD,2026-01-31\n")),
        "orders",
    );
    assert_eq!(
        (through.code, through.err.trim()),
        (Some(0), "second.csv: 1 orders landed, 0 dead letters")
    );
    let revenue = home.ok(&[
        "metric",
        "revenue",
        "--from",
        "2026-01-01",
        "--to",
        "2026-02-01",
        "--format",
        "csv",
    ]);
    assert_eq!(
        revenue,
        "period,value_minor,currency,status\n2026-01-01,300,USD,closed\n"
    );
    assert_eq!(home.run(&["alerts", "run", "--once"]).code, Some(0));
    let wrong = home.import(&home.file("wrong.csv", "a\n1\n"), "orders");
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("orders need customer_id"), "{}", wrong.err);
}

#[test]
fn only_this_machine_is_served() {
    let home = Home::new();
    home.import(
        &home.file("none.csv", "customer_id,amount,currency,ordered_at\n"),
        "orders",
    );
    let refused = home.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("loopback only"), "{}", refused.err);
}
