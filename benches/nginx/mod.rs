//! The limit that queries are held against: nginx serves a static file of 1.5 kB over mutual TLS on this machine, and the
//! client of this program asks for it.

use std::net::TcpStream;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use base64::Engine as _;
use kaopu::exchange::client::{Patience, PeerClient};
use kaopu::trust::tls;

use crate::city::City;
use crate::line::Office;

/// Bytes of the file.
const FILE: usize = 1500;

/// nginx with a node's certificate, letting in those of one peer; ends with this.
pub struct Nginx {
    server: Child,
    folder: tempfile::TempDir,
    /// Where it listens.
    pub url: String,
}

impl Nginx {
    /// Starts it; None where there is no nginx on this machine.
    pub async fn start(pem: &str, client: &City) -> Option<Self> {
        Command::new("nginx").arg("-v").output().ok()?;
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
        std::fs::create_dir_all(path("www/v1")).unwrap();
        write("www/v1/descriptor", &"x".repeat(FILE));
        write("server.pem", pem);
        let ca = base64::engine::general_purpose::STANDARD.encode(&client.descriptor.tls[0].certificate);
        write("ca.pem", &format!("-----BEGIN CERTIFICATE-----\n{ca}\n-----END CERTIFICATE-----\n"));
        let root = folder.path().display().to_string();
        write("nginx.conf", &configuration(&root, port));
        let mut nginx = Command::new("nginx");
        nginx.args(["-p", &root, "-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;"]);
        let started = Self { server: nginx.spawn().unwrap(), folder, url: format!("https://127.0.0.1:{port}") };
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "nginx does not listen: {}", started.errors());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(started)
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }

    /// How often in a second `flight` askers at once get the file, over one HTTP/2 connection.
    pub async fn measure(&self, asker: &Office, asked: &City, flight: u64, time: Duration) -> u64 {
        let peer = asker.registry.peer(&asked.node).unwrap();
        let tls = tls::client_tls(&asker.city.identity, &peer).unwrap();
        let client =
            PeerClient::new(&self.url, tls, Patience { connect: time, idle: time, whole: time }, false).unwrap();
        let until = Instant::now() + time;
        let asking: Vec<_> = (0..flight)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move {
                    let mut count = 0;
                    while Instant::now() < until {
                        let lines = client.descriptors().await.expect("nginx answers");
                        assert_eq!(lines.first().map(String::len), Some(FILE));
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let mut count = 0;
        for one in asking {
            count += one.await.unwrap();
        }
        count / time.as_secs()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // its workers end with it
        let _ = Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}

fn configuration(root: &str, port: u16) -> String {
    // who is not root gets a warning and stays who it is
    format!(
        "user root; worker_processes 2; pid {root}/pid;
         events {{ worker_connections 512; }}
         http {{
           access_log off; sendfile on; tcp_nodelay on; open_file_cache max=10;
           keepalive_requests 100000000; client_body_temp_path {root}/t1; proxy_temp_path {root}/t2;
           fastcgi_temp_path {root}/t3; uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
           server {{
             listen 127.0.0.1:{port} ssl http2; ssl_protocols TLSv1.3; root {root}/www;
             ssl_certificate {root}/server.pem; ssl_certificate_key {root}/server.pem;
             ssl_client_certificate {root}/ca.pem; ssl_verify_client on;
           }}
         }}"
    )
}
