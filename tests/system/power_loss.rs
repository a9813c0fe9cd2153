//! The power fails under load: only what was synced is left, under the names that were synced. Everything acknowledged is
//! there exactly once.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use atalaya_tests::{Home, program, soak};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    log_crash::{Clients, RESTLESS, going_on, judge, load},
    receivers::{listening, listening_with},
};

/// Notes a whole folder as durable: what was there before the power was on.
fn note_all(notes: &Path, dir: &Path) {
    let mut names = String::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if meta.is_dir() {
            note_all(notes, &path);
            names += &format!("d {} {name}\n", meta.ino());
        } else if meta.is_file() {
            fs::copy(&path, notes.join(format!("file-{}", meta.ino()))).unwrap();
            names += &format!("f {} {name}\n", meta.ino());
        }
    }
    let number = fs::metadata(dir).unwrap().ino();
    fs::write(notes.join(format!("folder-{number}")), names).unwrap();
}

/// Makes of the notes the folder that a machine would find.
fn put_back(notes: &Path, number: u64, to: &Path) {
    fs::create_dir(to).unwrap();
    let names = fs::read_to_string(notes.join(format!("folder-{number}"))).unwrap_or_default();
    for line in names.lines() {
        let mut parts = line.splitn(3, ' ');
        let (kind, number, name) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let number: u64 = number.parse().unwrap();
        if kind == "d" {
            put_back(notes, number, &to.join(name));
            continue;
        }
        // A name that was synced before what it names is an empty file.
        let content = notes.join(format!("file-{number}"));
        if content.is_file() {
            fs::copy(content, to.join(name)).unwrap();
        } else {
            fs::write(to.join(name), []).unwrap();
        }
    }
}

/// What the preloaded library is and where it notes.
fn preloaded(notes: &Path) -> [(String, String); 2] {
    let library: PathBuf = program("libatalaya_power_loss.so");
    [
        ("LD_PRELOAD".to_owned(), library.to_string_lossy().into_owned()),
        ("ATALAYA_SYNCED".to_owned(), notes.to_string_lossy().into_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_synced_is_left() {
    let rounds = if soak() { 200 } else { 12 };
    let home = Home::new();
    let clients = Arc::new(Clients::new());
    let mut rng = StdRng::seed_from_u64(17);
    fs::create_dir_all(home.path()).unwrap();
    for round in 0..rounds {
        let notes = tempfile::tempdir().unwrap();
        let number = fs::metadata(home.path()).unwrap().ino();
        note_all(notes.path(), &home.path());
        let variables = preloaded(notes.path());
        let variables: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let mut serving = listening_with(&home, RESTLESS, &variables);
        load(&clients, &serving, round, rng.random_range(1..500)).await;
        let load = going_on(&clients, &serving, round);
        for _ in 0..rng.random_range(0..2000) {
            tokio::task::yield_now().await;
        }
        serving.kill();
        load.await.unwrap();
        fs::remove_dir_all(home.path()).unwrap();
        put_back(notes.path(), number, &home.path());
        // Notes are of this run: what was there at its start must not make up for what it did not sync.
        judge(&home, &clients).await;
    }
    let serving = listening(&home, RESTLESS);
    load(&clients, &serving, 99, 30).await;
    judge(&home, &clients).await;
    assert!(clients.acknowledged() > 300);
}
