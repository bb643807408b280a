//! Notifications of the built program, to real HTTP, HTTPS and SMTP servers of the test's own, of which one never
//! answers.

use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use crate::support::{Files, PATIENCE, Program};

/// For `localhost`, signed by the authority in `ca.pem`; good for nothing but this.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

fn acceptor() -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(format!("{DATA}/server.pem"))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{DATA}/server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A head in small letters, and a body.
type Posted = (String, String);

async fn read_request<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Posted {
    let (mut head, mut line) = (String::new(), String::new());
    while stream.read_line(&mut line).await.unwrap() > 2 {
        head.push_str(&line.to_ascii_lowercase());
        line.clear();
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// An HTTPS server that answers with these statuses, one a request, and passes on what it got.
async fn serve_https(listener: TcpListener, statuses: &[u16], got: mpsc::UnboundedSender<Posted>) {
    let acceptor = acceptor();
    for status in statuses {
        let stream = accept(&listener, &acceptor).await;
        let mut stream = BufReader::new(stream);
        let posted = read_request(&mut stream).await;
        let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
        let _ = stream.get_mut().shutdown().await;
        got.send(posted).unwrap();
    }
}

async fn accept(listener: &TcpListener, acceptor: &TlsAcceptor) -> TlsStream<TcpStream> {
    let (stream, _) = listener.accept().await.unwrap();
    acceptor.accept(stream).await.unwrap()
}

/// An SMTP server over TLS that takes one mail (RFC 5321); the whole conversation of the client comes back.
async fn take_mail(listener: TcpListener) -> String {
    let mut stream = accept(&listener, &acceptor()).await;
    stream.write_all(b"220 test ESMTP\r\n").await.unwrap();
    converse(stream).await
}

/// The same after STARTTLS (RFC 3207): what was said in the open, and what under TLS.
async fn take_mail_by_starttls(listener: TcpListener) -> (String, String) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(b"220 test ESMTP\r\n").await.unwrap();
    let mut open = String::new();
    while !open.to_ascii_uppercase().ends_with("STARTTLS\r\n") {
        let answer: &[u8] = match stream.read_line(&mut open).await.unwrap() {
            0 => panic!("gone before STARTTLS: {open}"),
            _ if open.to_ascii_uppercase().ends_with("STARTTLS\r\n") => b"220 go on\r\n",
            _ => b"250-test\r\n250 STARTTLS\r\n",
        };
        stream.get_mut().write_all(answer).await.unwrap();
    }
    let stream = acceptor().accept(stream.into_inner()).await.unwrap();
    (open, converse(stream).await)
}

async fn converse(stream: TlsStream<TcpStream>) -> String {
    let mut stream = BufReader::new(stream);
    let mut said = String::new();
    let (mut in_mail, mut line) = (false, String::new());
    while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
        said.push_str(&line);
        let word = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match (in_mail, word.as_str()) {
            (true, _) if line == ".\r\n" => {
                in_mail = false;
                b"250 taken\r\n"
            }
            (true, _) => b"",
            (false, "EHLO") => b"250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n",
            (false, "AUTH") => b"235 come in\r\n",
            (false, "DATA") => {
                in_mail = true;
                b"354 go on\r\n"
            }
            (false, "QUIT") => b"221 bye\r\n",
            (false, _) => b"250 fine\r\n",
        };
        stream.get_mut().write_all(answer).await.unwrap();
        if word == "QUIT" {
            break;
        }
        line.clear();
    }
    said
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_by_every_way_until_it_is_taken() {
    let (web, web_port) = listen().await;
    let (mail, mail_port) = listen().await;
    let (silent, silent_port) = listen().await;
    let notify = format!(
        "expects = \"nothing\"\n[notify]\nca_file = \"{DATA}/ca.pem\"\n\
         [notify.webhook]\nurl = \"https://localhost:{web_port}/hook\"\ntoken = \"hush-token\"\n\
         [notify.ntfy]\nurl = \"http://127.0.0.1:{silent_port}/topic\"\n\
         [notify.email]\nserver = \"localhost\"\nport = {mail_port}\nuser = \"box\"\npassword = \"hush-password\"\n\
         from = \"Box <box@example.org>\"\nto = [\"owner@example.org\"]\n"
    );
    let files = Files::expecting(&notify, "").service("one", "echo no such flag >&2; exit 78", "essential = true");
    let (sender, mut posted) = mpsc::unbounded_channel();
    let served = tokio::spawn(async move { serve_https(web, &[500, 200], sender).await });
    let mailed = tokio::spawn(take_mail(mail));
    let program = Program::start(&files);

    let (head, body) = within("the webhook", posted.recv()).await.unwrap();
    assert!(head.starts_with("post /hook http/1.1"), "{head}");
    assert!(head.contains("authorization: bearer hush-token"), "{head}");
    let first: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (first["state"].as_str(), first["code"].as_u64()),
        (Some("failed"), Some(1)),
        "{first}"
    );
    assert!(first["reason"].as_str().unwrap().contains("no such flag"), "{first}");
    let (_, body) = within("the second attempt", posted.recv()).await.unwrap();
    let second: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(second, first, "the same again, known by its id");

    let mail = within("the mail", mailed).await.unwrap();
    for part in [
        "MAIL FROM:<box@example.org>",
        "RCPT TO:<owner@example.org>",
        "Subject: ",
        "has failed",
        "no such flag",
        "What to do:",
    ] {
        assert!(mail.contains(part), "{part} is not in\n{mail}");
    }
    let plain = data_encoding::BASE64.encode(b"\0box\0hush-password");
    assert!(mail.contains(&plain), "{mail}");

    // ntfy's server took the connection and says nothing; nobody else waited for it.
    let (mut stuck, _) = within("ntfy", silent.accept()).await.unwrap();
    let mut asked = vec![0; 4];
    within("ntfy's request", stuck.read_exact(&mut asked)).await.unwrap();
    assert_eq!(asked, b"POST");
    served.await.unwrap();
    drop(program);
}

/// One HTTP request in the open, answered with 200.
async fn take_post(listener: TcpListener) -> Posted {
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = BufReader::new(stream);
    let posted = read_request(&mut stream).await;
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    stream.get_mut().write_all(answer).await.unwrap();
    posted
}

fn by_starttls(mail_port: u16, more: &str) -> String {
    format!(
        "expects = \"nothing\"\n[notify]\nca_file = \"{DATA}/ca.pem\"\n{more}\
         [notify.email]\nserver = \"localhost\"\nport = {mail_port}\ntls = \"starttls\"\nuser = \"box\"\n\
         password = \"hush-password\"\nfrom = \"box@example.org\"\nto = [\"owner@example.org\"]\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn ntfy_and_a_mail_server_with_starttls_take_it() {
    let (mail, mail_port) = listen().await;
    let (topic, topic_port) = listen().await;
    let ntfy = format!("[notify.ntfy]\nurl = \"http://127.0.0.1:{topic_port}/my-box\"\ntoken = \"tk_hush\"\n");
    let files = Files::expecting(&by_starttls(mail_port, &ntfy), "").service(
        "one",
        "echo no such flag >&2; exit 78",
        "essential = true",
    );
    let mailed = tokio::spawn(take_mail_by_starttls(mail));
    let posted = tokio::spawn(take_post(topic));
    let _program = Program::start(&files);

    let (head, body) = within("ntfy", posted).await.unwrap();
    assert!(head.starts_with("post /my-box http/1.1"), "{head}");
    for line in [
        "authorization: bearer tk_hush",
        "priority: high",
        "tags: rotating_light",
        "title: ",
    ] {
        assert!(head.contains(line), "{line} is not in\n{head}");
    }
    assert!(body.contains("no such flag") && body.contains("What to do:"), "{body}");

    let (open, sealed) = within("the mail", mailed).await.unwrap();
    let plain = data_encoding::BASE64.encode(b"\0box\0hush-password");
    assert!(sealed.contains(&plain) && sealed.contains("has failed"), "{sealed}");
    assert!(
        !open.contains("AUTH") && !open.contains("MAIL"),
        "nothing but STARTTLS in the open: {open}"
    );
}

/// Whoever stands between cannot talk the box out of TLS.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_starttls_hears_no_password() {
    let (mail, mail_port) = listen().await;
    let files = Files::expecting(&by_starttls(mail_port, ""), "").service("one", "exit 78", "essential = true");
    let _program = Program::start(&files);
    let (stream, _) = within("the mail", mail.accept()).await.unwrap();
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(b"220 test ESMTP\r\n").await.unwrap();
    let mut said = String::new();
    while within("its end", stream.read_line(&mut said)).await.unwrap_or(0) > 0 {
        let _ = stream.get_mut().write_all(b"250-test\r\n250 AUTH PLAIN\r\n").await;
    }
    assert!(said.starts_with("EHLO"), "{said}");
    assert!(!said.contains("AUTH") && !said.contains("MAIL"), "{said}");
}

#[test]
fn what_is_secret_is_shown_nowhere() {
    let notify = "expects = \"nothing\"\n[notify.webhook]\nurl = \"https://example.org/hush\"\ntoken = \"hush\"\n";
    let files = Files::expecting(notify, "").service("one", "exit 0", "environment = { API_TOKEN = \"hush\" }");
    for json in [&["--json"][..], &[]] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_pillarbox"))
            .args(json)
            .args(["config", "show", files.config().to_str().unwrap()])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("[secret]") && !text.contains("hush"), "{text}");
        assert!(
            text.contains("\"1d\"") && text.contains("retention"),
            "defaults are filled in: {text}"
        );
    }
}
