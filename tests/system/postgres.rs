//! A PostgreSQL of our own, for what reads from one.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A cluster of PostgreSQL in a folder of its own.
pub(crate) struct Cluster {
    dir: tempfile::TempDir,
    bin: PathBuf,
    pub(crate) port: u16,
}

impl Cluster {
    /// Starts one, or says that the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        let versions = std::fs::read_dir("/usr/lib/postgresql")
            .ok()
            .into_iter()
            .flatten()
            .flatten();
        let found = versions
            .map(|entry| entry.path().join("bin"))
            .find(|bin| bin.join("initdb").is_file());
        let Some(bin) = found else {
            eprintln!("skipped: there is no PostgreSQL server on this machine");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let cluster = Self { dir, bin, port };
        // It refuses to run as root.
        if cluster.is_root() {
            Command::new("chown")
                .args(["-R", "postgres"])
                .arg(cluster.dir.path())
                .status()
                .unwrap();
        }
        let data = cluster.data();
        cluster.run("initdb", &["-D", &data, "-U", "us", "-A", "trust", "-N"]);
        let socket = cluster.dir.path().display();
        let options = format!("-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={socket}");
        cluster.run(
            "pg_ctl",
            &["-D", &data, "-w", "-o", &options, "-l", &format!("{data}.log"), "start"],
        );
        Some(cluster)
    }

    fn data(&self) -> String {
        self.dir.path().join("data").display().to_string()
    }

    fn is_root(&self) -> bool {
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(self.dir.path()).unwrap()) == 0
            || Path::new("/proc/self")
                .metadata()
                .is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let program = self.bin.join(program);
        let mut command = if self.is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let output = command.args(arguments).current_dir(self.dir.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn sql(&self, text: &str) -> String {
        let dir = self.dir.path().display().to_string();
        self.run(
            "psql",
            &[
                "-X",
                "-q",
                "-h",
                &dir,
                "-p",
                &self.port.to_string(),
                "-U",
                "us",
                "-d",
                "postgres",
                "-c",
                text,
            ],
        )
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.data();
        self.run("pg_ctl", &["-D", &data, "-m", "immediate", "stop"]);
    }
}
