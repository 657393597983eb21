//! What this machine can do at all: one QUIC stream, one SQLite writer, one file synced.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rusqlite::{Connection, params};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;

use super::{Disk, Fsync};
use crate::Options;
use crate::load::{Load, document};
use crate::process::usage;
use crate::report::{Report, percentile};

pub const SQLITE_DISK: Disk =
    Disk { fsync: Fsync::Always, how: "WAL, synchronous=FULL: each of its transactions" };
pub const FSYNC_DISK: Disk = Disk { fsync: Fsync::Always, how: "fdatasync after each write" };

const STREAM_BYTES: usize = 512 << 20;
const CHUNK_BYTES: usize = 64 << 10;
const ROWS_PER_TRANSACTION: usize = 1000;
const SYNCS: usize = 500;
const APPEND_BYTES: usize = 4096;

/// One unidirectional stream between two endpoints of this process.
pub fn quinn_raw(report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let cpu_before = usage(std::process::id())?.cpu_s;
    let seconds = runtime.block_on(stream_seconds())?;
    let cpu = usage(std::process::id())?.cpu_s - cpu_before;
    let megabytes = STREAM_BYTES as f64 / 1e6;
    let extra =
        json!({ "cpu_s_per_gb": cpu / megabytes * 1e3, "note": "both ends in one process" });
    report.add("quinn", megabytes / seconds, "MB/s", extra);
    Ok(())
}

async fn stream_seconds() -> Result<f64> {
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (server_config, client_config) = configs()?;
    let server = quinn::Endpoint::server(server_config, here)?;
    let client = quinn::Endpoint::client(here)?;
    let connecting = client.connect_with(client_config, server.local_addr()?, "localhost")?;
    let accepting = async { anyhow::Ok(server.accept().await.context("closed")?.await?) };
    let (there, back) = tokio::try_join!(async { anyhow::Ok(connecting.await?) }, accepting)?;
    let start = Instant::now();
    // A task of its own, so that the two ends can run on two cores.
    let sender = there.clone();
    let sending = tokio::spawn(async move {
        let mut stream = sender.open_uni().await?;
        let chunk = vec![0x5a; CHUNK_BYTES];
        for _ in 0..STREAM_BYTES / CHUNK_BYTES {
            stream.write_all(&chunk).await?;
        }
        stream.finish()?;
        anyhow::Ok(())
    });
    let mut stream = back.accept_uni().await?;
    let mut total = 0;
    while let Some(chunk) = stream.read_chunk(CHUNK_BYTES, true).await? {
        total += chunk.bytes.len();
    }
    let seconds = start.elapsed().as_secs_f64();
    anyhow::ensure!(total == STREAM_BYTES, "{total} bytes arrived");
    sending.await??;
    Ok(seconds)
}

fn configs() -> Result<(quinn::ServerConfig, quinn::ClientConfig)> {
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let certificate = issued.cert.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate)?;
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(server)?));
    let client = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(client)?));
    Ok((server, client))
}

/// The bytes of BULK's entries, a row each, 1,000 rows a transaction.
pub fn sqlite_raw(options: &Options, report: &mut Report) -> Result<()> {
    let mut bodies: Vec<Vec<u8>> = Vec::with_capacity(options.records * 4);
    for record in (Load { seed: options.seed, records: options.records }).iter() {
        bodies.extend(document(&record)?.get_changes(&[]).iter().map(|c| c.raw_bytes().to_vec()));
    }
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    let folder = options.folder("sqlite")?;
    let mut database = Connection::open(folder.path().join("raw.db"))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch(
        "CREATE TABLE entries (id INTEGER PRIMARY KEY, log INTEGER, seq INTEGER, body BLOB);",
    )?;
    let start = Instant::now();
    for (t, rows) in bodies.chunks(ROWS_PER_TRANSACTION).enumerate() {
        let transaction = database.transaction()?;
        let mut insert = transaction
            .prepare_cached("INSERT INTO entries (log, seq, body) VALUES (1, ?1, ?2)")?;
        for (i, body) in rows.iter().enumerate() {
            insert.execute(params![(t * ROWS_PER_TRANSACTION + i) as i64, body])?;
        }
        drop(insert);
        transaction.commit()?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let extra = json!({
        "durable": "every row: WAL, synchronous=FULL",
        "rows": bodies.len(),
        "rows_per_s": (bodies.len() as f64 / seconds).round(),
        "mb_per_s": bytes as f64 / 1e6 / seconds,
    });
    report.add("sqlite", seconds, "s", extra);
    Ok(())
}

/// Appends of 4 KiB, each synced.
pub fn fsync(options: &Options, report: &mut Report) -> Result<()> {
    let folder = options.folder("fsync")?;
    let mut file = std::fs::File::create(folder.path().join("appended"))?;
    let block = [0x5a; APPEND_BYTES];
    let mut ms = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&block)?;
        let start = Instant::now();
        file.sync_data()?;
        ms.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let extra = json!({ "durable": "4 KiB appended, fdatasync", "syncs": SYNCS });
    report.add("fsync_p50", percentile(&ms, 50.0), "ms", extra.clone());
    report.add("fsync_p99", percentile(&ms, 99.0), "ms", extra);
    Ok(())
}
