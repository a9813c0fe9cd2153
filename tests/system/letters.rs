//! Alerts by mail: a relay that answers by a script, spoken to over a real socket.

use std::sync::{Arc, Mutex};

use atalaya_tests::Home;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// Answers to the end of a letter, in turn; then 250.
#[derive(Clone, Default)]
struct Relay {
    script: Arc<Mutex<Vec<&'static str>>>,
    letters: Arc<Mutex<Vec<(String, String)>>>,
}

impl Relay {
    async fn start(script: Vec<&'static str>) -> (Self, String) {
        let relay = Self {
            script: Arc::new(Mutex::new(script)),
            ..Self::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("smtp://{}", listener.local_addr().unwrap());
        let serving = relay.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().converse(stream));
            }
        });
        (relay, address)
    }

    async fn converse(self, stream: TcpStream) -> std::io::Result<()> {
        let (reading, mut writing) = stream.into_split();
        let mut lines = BufReader::new(reading).lines();
        writing.write_all(b"220 relay\r\n").await?;
        let mut envelope = String::new();
        while let Some(line) = lines.next_line().await? {
            let answer = if line.starts_with("DATA") {
                writing.write_all(b"354 go on\r\n").await?;
                let mut letter = String::new();
                while let Some(line) = lines.next_line().await? {
                    if line == "." {
                        break;
                    }
                    letter += &line;
                    letter.push('\n');
                }
                let answer = {
                    let mut script = self.script.lock().unwrap();
                    if script.is_empty() {
                        "250 queued"
                    } else {
                        script.remove(0)
                    }
                };
                self.letters
                    .lock()
                    .unwrap()
                    .push((answer.to_owned(), envelope.clone() + &letter));
                answer
            } else if line.starts_with("QUIT") {
                "221 bye"
            } else {
                envelope += &format!("{line}\n");
                "250 ok"
            };
            writing.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
        Ok(())
    }
}

async fn look(home: &Home, relay: &str, now: &str) {
    let mut command = home.command(&["alerts", "run", "--once"]);
    command
        .env("ATALAYA_NOW", now)
        .env("ATALAYA_SMTP_URL", relay)
        .env("ATALAYA_ALERT_LANGUAGE", "es")
        .env("ATALAYA_EMAIL_FROM", "Atalaya <atalaya@example.org>")
        .env("ATALAYA_EMAIL_TO", "ana@example.org, bo@example.org");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_tried_again_after_4yz_and_never_after_5yz() {
    let (relay, address) = Relay::start(vec!["451 busy", "250 queued", "554 no"]).await;
    let mut home = Home::new();
    home.now = Some("2026-03-16T10:00:00Z".to_owned());
    let findings = |closed: &str, version: u8| {
        format!(
            "finding_id,record_version,finding_type,title,opened_at,closed_at\nf,{version},violation,<b>Falta</b> el consentimiento,2026-03-16T09:00:00Z,{closed}\n"
        )
    };
    home.import(&home.file("open.csv", findings("", 0)), "compliance_findings");
    look(&home, &address, "2026-03-16T10:00:00Z").await;
    look(&home, &address, "2026-03-16T10:00:30Z").await;
    home.now = Some("2026-03-16T10:01:00Z".to_owned());
    home.import(
        &home.file("closed.csv", findings("2026-03-16T10:01:00Z", 1)),
        "compliance_findings",
    );
    for at in ["10:02:00", "10:03:00", "10:10:00"] {
        look(&home, &address, &format!("2026-03-16T{at}Z")).await;
    }
    let letters = relay.letters.lock().unwrap().clone();
    let answers: Vec<&str> = letters.iter().map(|(answer, _)| answer.as_str()).collect();
    assert_eq!(
        answers,
        ["451 busy", "250 queued", "554 no"],
        "{}",
        home.ok(&["alerts", "status"])
    );
    let first = &letters[0].1;
    for part in [
        "RCPT TO:<ana@example.org>",
        "RCPT TO:<bo@example.org>",
        "Auto-Submitted: auto-generated",
        "multipart/alternative",
        "text/plain",
        "text/html",
    ] {
        assert!(first.contains(part), "{part} is not in {first}");
    }
    // What somebody else wrote is text in the page as well.
    let page = first.split("text/html").nth(1).unwrap();
    assert!(page.contains("&lt;b&gt;Falta") && !page.contains("<b>Falta"), "{page}");
    let of = |letter: &str, name: &str| -> Option<String> {
        let line = letter.lines().find(|line| line.starts_with(name))?;
        Some(line[name.len()..].to_owned())
    };
    // Sent twice is the same letter; the end belongs to the thread of the beginning.
    assert_eq!(of(first, "Message-ID: "), of(&letters[1].1, "Message-ID: "));
    assert_eq!(of(&letters[2].1, "In-Reply-To: "), of(first, "Message-ID: "));
    let ledger = home.ok(&["alerts", "ledger", "--format", "csv"]);
    assert!(ledger.contains("resolve refused") && ledger.contains("554"), "{ledger}");
}

#[test]
fn a_relay_across_the_network_is_not_spoken_to_in_the_clear_and_no_password_is_told() {
    let home = Home::new();
    home.run(&["demo", "--customers", "1"]);
    let mut command = home.command(&["alerts", "run", "--once"]);
    let output = command
        .env("ATALAYA_SMTP_URL", "pop://ana:s3cret@mail.example.org")
        .env("ATALAYA_EMAIL_FROM", "a@example.org")
        .env("ATALAYA_EMAIL_TO", "b@example.org")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("ATALAYA_SMTP_URL") && !said.contains("s3cret"),
        "{said}"
    );
}
