//! The configuration file. It has no names and no checks of its own: each table of a link becomes the command line that it
//! stands for, and is read as one. So file and flags cannot differ.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use toml::{Table, Value};

use super::links::Link;

/// What a file asks for.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) links: Vec<Link>,
    pub(crate) listen: Option<SocketAddr>,
}

/// A link's table, read as a command line.
#[derive(Parser)]
#[command(name = "link", no_binary_name = true, disable_help_subcommand = true)]
enum Words {
    Out(super::out::Arguments),
    In(super::inbound::Arguments),
}

/// Reads a file.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn read(path: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    parse(&text).with_context(|| path.display().to_string())
}

pub(super) fn parse(text: &str) -> Result<Config> {
    let mut file: Table = text.parse().map_err(|error: toml::de::Error| anyhow!("{error}"))?;
    let nats = match file.remove("nats") {
        None => Table::new(),
        Some(Value::Table(table)) => table,
        Some(_) => bail!("nats is not a table: [nats]"),
    };
    let listen = match file.remove("serve") {
        None => None,
        Some(Value::Table(mut table)) => {
            let listen = table.remove("listen");
            if let Some(name) = table.keys().next() {
                bail!("[serve]: {} is no option; there is listen", name.escape_debug());
            }
            let listen = listen
                .as_ref()
                .and_then(Value::as_str)
                .context("[serve]: listen is missing: \"ADDRESS:PORT\"")?;
            Some(listen.parse().map_err(|_| anyhow!("[serve]: listen is not ADDRESS:PORT"))?)
        }
        Some(_) => bail!("serve is not a table: [serve]"),
    };
    let mut links = Vec::new();
    for direction in ["out", "in"] {
        let tables = match file.remove(direction) {
            None => continue,
            Some(Value::Array(tables)) => tables,
            Some(_) => bail!("{direction} is not a list of tables: [[{direction}]]"),
        };
        for (at, table) in tables.into_iter().enumerate() {
            let place = || format!("[[{direction}]] number {}", at + 1);
            let Value::Table(table) = table else { bail!("{} is not a table", place()) };
            links.push(link(direction, &nats, table).with_context(place)?);
        }
    }
    if let Some(name) = file.keys().next() {
        bail!(
            "{} is no table of this file; there are [nats], [[out]], [[in]] and [serve]",
            name.escape_debug()
        );
    }
    if links.is_empty() {
        bail!("there is no link: [[out]] or [[in]]");
    }
    Ok(Config { links, listen })
}

/// The link that a table stands for. What it does not say of the server, `nats` says.
fn link(direction: &str, nats: &Table, mut table: Table) -> Result<Link> {
    for (name, value) in nats {
        table.entry(name.clone()).or_insert_with(|| value.clone());
    }
    let queue = match table.remove("queue") {
        // A command line would take it for an option.
        Some(Value::String(queue)) if queue.starts_with('-') => OsString::from(format!("/dev/shm/{queue}")),
        Some(Value::String(queue)) => OsString::from(queue),
        _ => bail!("queue is missing: the name or path of a queue"),
    };
    let urls: Vec<OsString> = match table.remove("url") {
        Some(Value::String(url)) => vec![url.into()],
        Some(Value::Array(urls)) => urls
            .into_iter()
            .map(|url| match url {
                Value::String(url) => Ok(url.into()),
                _ => Err(anyhow!("url is not a list of texts")),
            })
            .collect::<Result<_>>()?,
        _ => bail!("url is missing, here or in [nats]: \"nats://host:4222\", or a list"),
    };
    // A command line would take it for an option.
    if let Some(url) = urls.iter().find(|url| url.as_encoded_bytes().starts_with(b"-")) {
        bail!("url: {url:?} is no address: \"nats://host:4222\" is expected");
    }
    let mut words = vec![OsString::from(direction)];
    flags(&mut words, "", &table)?;
    match direction {
        "out" => words.extend(std::iter::once(queue).chain(urls)),
        _ => words.extend(urls.into_iter().chain(std::iter::once(queue))),
    }
    match Words::try_parse_from(words) {
        Ok(Words::Out(arguments)) => Ok(Link::Out(arguments)),
        Ok(Words::In(arguments)) => Ok(Link::In(arguments)),
        Err(error) => {
            let text = error.render().to_string();
            let text = text.split("\n\nUsage").next().unwrap_or_default();
            bail!("{}", text.trim_start_matches("error: ").trim())
        }
    }
}

/// Options of which a table is one value: `create = { kind = "spsc" }` is `--create kind=spsc`.
const LISTS: [&str; 2] = ["create", "create-stream"];

/// The flags that a table stands for. A table in it is a common beginning of names: `tls = { ca = … }` is `--tls-ca …`.
fn flags(words: &mut Vec<OsString>, prefix: &str, table: &Table) -> Result<()> {
    for (name, value) in table {
        let name = format!("{prefix}{}", name.replace('_', "-"));
        if name.contains('=') || name.is_empty() {
            bail!("\"{}\" is no option", name.escape_debug());
        }
        match value {
            Value::Boolean(true) => words.push(format!("--{name}").into()),
            Value::Boolean(false) => {}
            Value::Table(inner) if LISTS.contains(&name.as_str()) => {
                let mut options = Vec::new();
                for (option, value) in inner {
                    options.push(format!(
                        "{}={}",
                        option.replace('_', "-"),
                        text(value).with_context(|| name.clone())?
                    ));
                }
                words.push(format!("--{name}={}", options.join(",")).into());
            }
            Value::Table(inner) => flags(words, &format!("{name}-"), inner)?,
            value => words.push(format!("--{name}={}", text(value).with_context(|| name.clone())?).into()),
        }
    }
    Ok(())
}

fn text(value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(true) => Ok("yes".into()),
        Value::Boolean(false) => Ok("no".into()),
        _ => bail!("a text or a number is expected"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [nats]
        url = ["nats://a:4222", "nats://b:4222"]
        creds = "/run/secrets/ringway.creds"
        tls = { ca = "/etc/ca.pem", first = true }
        [[out]]
        queue = "ticks"
        stream = "TICKS"
        create-stream = { replicas = 3, max-age = "7d" }
        in_flight = { messages = 512, bytes = "4MiB" }
        ack_deadline = "15s"
        [[in]]
        queue = "-jobs"
        stream = "JOBS"
        consumer = "eu-1"
        create = "kind=spsc,capacity=16m"
        on_bad = "dead-letter:jobs.dead"
        takeover = false
        [serve]
        listen = "127.0.0.1:9464"
    "#;

    #[test]
    fn a_file_is_the_command_lines_that_it_stands_for() {
        let config = parse(FILE).unwrap();
        assert_eq!(config.listen, Some("127.0.0.1:9464".parse().unwrap()));
        let flags = "out ticks nats://a:4222 nats://b:4222 --creds /run/secrets/ringway.creds --tls-ca /etc/ca.pem \
                     --tls-first --stream TICKS --create-stream replicas=3,max-age=7d --in-flight-messages 512 \
                     --in-flight-bytes 4m --ack-deadline 15s";
        let Ok(Words::Out(expected)) = Words::try_parse_from(flags.split_whitespace()) else {
            panic!("{flags}")
        };
        assert_eq!(format!("{:?}", config.links[0]), format!("{:?}", Link::Out(expected)));
        let names: Vec<_> = config.links.iter().map(Link::name).collect();
        assert_eq!(names, ["ticks", "/dev/shm/-jobs"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |text: &str| format!("{:#}", parse(text).unwrap_err());
        assert!(wrong("").contains("there is no link"));
        assert!(wrong("x = 1").contains("x is no table of this file"));
        assert!(wrong("[[out]]\nqueue = \"q\"\nstream = \"S\"").contains("url is missing"));
        let out = |more: &str| wrong(&format!("[[out]]\nurl = \"u\"\nqueue = \"q\"\n{more}"));
        assert!(out("").contains("[[out]] number 1") && out("").contains("--stream"));
        assert!(out("stream = \"S\"\npassword = \"x\"").contains("--password"));
        assert!(out("stream = \"S\"\nin_flight = { bytes = \"x\" }").contains("--in-flight-bytes"));
        assert!(out("stream = [1]").contains("a text or a number"));
        assert!(wrong("[serve]\nlisten = 1").contains("listen is missing"));
    }

    #[test]
    fn an_address_is_never_an_option() {
        for direction in ["out", "in"] {
            let link = format!("[[{direction}]]\nqueue = \"q\"\nstream = \"S\"");
            let consumer = if direction == "in" { "consumer = \"c\"" } else { "" };
            for urls in ["\"--takeover\"", "[\"nats://a\", \"--takeover\"]"] {
                let file = format!("[nats]\nurl = {urls}\n{link}\n{consumer}");
                let error = format!("{:#}", parse(&file).unwrap_err());
                assert!(error.contains("url: \"--takeover\" is no address"), "{error}");
            }
        }
    }
}
