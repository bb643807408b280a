//! Where settings are written: the command line and a TOML file. Both become the same list of given values, each of
//! which remembers where it stood, so that a message can say what to mend.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use super::{
    error::Error,
    flags::{self, Flag, Kind},
    values,
};

/// A configuration file larger than this is not one.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where a value stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    CommandLine,
    File(PathBuf),
}

impl Place {
    /// A flag as it is spelt in this place.
    pub fn spelling(&self, name: &str) -> String {
        match self {
            Self::CommandLine => format!("--{name}"),
            Self::File(path) => format!("{}: {name}", path.display()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What was given for one flag; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Values {
    place: Place,
    texts: Vec<String>,
}

/// All that was given, command line before file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given(BTreeMap<&'static str, Values>);

impl Given {
    /// Reads the command line (without the program's name) and the file that it names, if it does.
    pub fn read(args: &[String]) -> Result<Self, Error> {
        let mut given = Self::from_args(args)?;
        if let Some(path) = given.text("config-file").map(PathBuf::from) {
            let text = read_file(&path)?;
            for (name, values) in Self::from_toml(&path, &text)?.0 {
                given.0.entry(name).or_insert(values);
            }
        }
        Ok(given)
    }

    /// Reads `--name=value`, `--name:value`, `--name value` and bare `--name`.
    pub fn from_args(args: &[String]) -> Result<Self, Error> {
        let mut given = Self::default();
        let mut rest = args.iter().peekable();
        while let Some(arg) = rest.next() {
            let Some(body) = arg.strip_prefix("--").filter(|body| !body.is_empty()) else {
                return Err(Error::NotAFlag { arg: arg.clone() });
            };
            let (name, value) = match body.find(['=', ':']) {
                Some(at) => (&body[..at], Some(body[at + 1..].to_owned())),
                None => (body, None),
            };
            let flag = known(name, &Place::CommandLine)?;
            let next_value = |next: &&String| match flag.kind {
                Kind::Switch => values::switch(next).is_some(),
                Kind::One | Kind::Many => !next.starts_with("--"),
            };
            let value = match value {
                Some(value) => value,
                None => match (rest.next_if(next_value), flag.kind) {
                    (Some(next), _) => next.clone(),
                    (None, Kind::Switch) => "true".to_owned(),
                    (None, Kind::One | Kind::Many) => {
                        return Err(Error::NoValue {
                            flag: Place::CommandLine.spelling(flag.name),
                        });
                    }
                },
            };
            given.add(flag, Place::CommandLine, value);
        }
        Ok(given)
    }

    /// Reads the text of a TOML file: a table whose keys are flags without their dashes.
    pub fn from_toml(path: &Path, text: &str) -> Result<Self, Error> {
        let place = Place::File(path.to_owned());
        let table = text.parse::<toml::Table>().map_err(|error| Error::NotToml {
            path: path.to_owned(),
            reason: in_one_line(text, &error),
        })?;
        let mut given = Self::default();
        for (key, value) in table {
            let flag = known(&key, &place)?;
            let wrong = |found: &'static str| Error::WrongToml {
                key: place.spelling(flag.name),
                found,
            };
            match (value, flag.kind) {
                (toml::Value::Array(items), Kind::Many) => {
                    for item in items {
                        given.add(flag, place.clone(), scalar(item).map_err(wrong)?);
                    }
                }
                (value, _) => given.add(flag, place.clone(), scalar(value).map_err(wrong)?),
            }
        }
        Ok(given)
    }

    /// Of a flag that is given once, the last value counts, as in nwaku.
    fn add(&mut self, flag: &'static Flag, place: Place, text: String) {
        let values = self.0.entry(flag.name).or_insert_with(|| Values {
            place,
            texts: Vec::new(),
        });
        if flag.kind != Kind::Many {
            values.texts.clear();
        }
        values.texts.push(text);
    }

    pub fn is_given(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The names of all that was given.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// The one value of a flag, where it was given and is not empty (nwaku takes an empty value for none).
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)?
            .texts
            .last()
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    /// How a message should name the flag.
    pub fn spelling(&self, name: &str) -> String {
        self.0
            .get(name)
            .map_or_else(|| format!("--{name}"), |values| values.place.spelling(name))
    }

    /// A value that is invalid. Of a secret, nothing is told.
    fn wrong(&self, name: &str, value: &str, reason: impl fmt::Display) -> Error {
        Error::Value {
            flag: self.spelling(name),
            value: flags::find(name).map_or(value, |flag| flag.shown(value)).to_owned(),
            reason: reason.to_string(),
        }
    }

    /// The value of a flag as `read` understands it, where it was given.
    pub fn optional<T, E: fmt::Display>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Error> {
        self.text(name)
            .map(|text| read(text).map_err(|reason| self.wrong(name, text, reason)))
            .transpose()
    }

    /// The value of a flag, or its default in the table.
    pub fn value<T, E: fmt::Display>(
        &self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Error> {
        let text = self
            .text(name)
            .or_else(|| flags::find(name).map(|flag| flag.default))
            .unwrap_or_default();
        read(text).map_err(|reason| self.wrong(name, text, reason))
    }

    /// A whole number between two bounds.
    pub fn number<T>(&self, name: &'static str, low: T, high: T) -> Result<T, Error>
    where
        T: FromStr + PartialOrd + fmt::Display + Copy,
    {
        self.value(name, |text| values::number(text, low, high))
    }

    pub fn switch(&self, name: &'static str) -> Result<bool, Error> {
        self.value(name, |text| values::switch(text).ok_or("give true or false"))
    }

    /// All values of a repeatable flag.
    pub fn many<T, E: fmt::Display>(&self, name: &str, read: impl Fn(&str) -> Result<T, E>) -> Result<Vec<T>, Error> {
        let texts = self
            .0
            .get(name)
            .map(|values| values.texts.as_slice())
            .unwrap_or_default();
        texts
            .iter()
            .filter(|text| !text.is_empty())
            .map(|text| read(text).map_err(|reason| self.wrong(name, text, reason)))
            .collect()
    }
}

fn known(name: &str, place: &Place) -> Result<&'static Flag, Error> {
    flags::find(name).ok_or_else(|| Error::Unknown {
        flag: place.spelling(name),
        nearest: flags::nearest(name).map(|nearest| match place {
            Place::CommandLine => format!("--{nearest}"),
            Place::File(_) => nearest.to_owned(),
        }),
    })
}

/// What is wrong with a file and in which line; the parser's own text draws the line below it.
fn in_one_line(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}

fn scalar(value: toml::Value) -> Result<String, &'static str> {
    match value {
        toml::Value::String(text) => Ok(text),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(truth) => Ok(truth.to_string()),
        toml::Value::Float(_) => Err("a fraction"),
        toml::Value::Datetime(_) => Err("a date"),
        toml::Value::Array(_) => Err("a list"),
        toml::Value::Table(_) => Err("a table"),
    }
}

fn read_file(path: &Path) -> Result<String, Error> {
    let unreadable = |reason: String| Error::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let size = std::fs::metadata(path)
        .map_err(|error| unreadable(error.to_string()))?
        .len();
    if size > MAX_FILE_BYTES {
        return Err(unreadable(format!(
            "{size} bytes are more than a configuration file has"
        )));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn args(line: &str) -> Result<Given, Error> {
        Given::from_args(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn every_way_to_write_a_flag() {
        for line in [
            "--tcp-port=7",
            "--tcp-port:7",
            "--tcp-port 7",
            "--tcp-port=1 --tcp-port=7",
        ] {
            assert_eq!(args(line).unwrap().text("tcp-port"), Some("7"), "{line}");
        }
        for line in [
            "--store",
            "--store=true",
            "--store:true",
            "--store true",
            "--store=True",
            "--store --relay",
        ] {
            assert_eq!(args(line).unwrap().switch("store"), Ok(true), "{line}");
        }
        for line in ["--store=false", "--store false", "--store:off", ""] {
            assert_eq!(args(line).unwrap().switch("store"), Ok(false), "{line}");
        }
        let given = args("--shard=32 --shard 64 --staticnode:/ip4/127.0.0.1/tcp/1=x").unwrap();
        assert_eq!(given.many("shard", str::parse::<u16>), Ok(vec![32, 64]));
        assert_eq!(
            given
                .many("staticnode", |text| Ok::<_, String>(text.to_owned()))
                .unwrap(),
            ["/ip4/127.0.0.1/tcp/1=x"]
        );
        assert_eq!(args("--nodekey=").unwrap().text("nodekey"), None);
    }

    #[test]
    fn each_mistake_on_the_command_line_has_its_message() {
        for (line, message) in [
            ("--tcp-prot=1", "--tcp-prot is not known; did you mean --tcp-port?"),
            ("--qqqqqqqqqq", "--qqqqqqqqqq is not known; --help lists all flags"),
            ("--tcp-port", "--tcp-port needs a value; write --tcp-port=VALUE"),
            ("--tcp-port --store", "--tcp-port needs a value; write --tcp-port=VALUE"),
            ("store", "\"store\" is not a flag; flags start with --"),
            ("-s", "\"-s\" is not a flag; flags start with --"),
            ("--", "\"--\" is not a flag; flags start with --"),
        ] {
            assert_eq!(args(line).unwrap_err().to_string(), message);
        }
        let error = args("--tcp-port=x")
            .unwrap()
            .number("tcp-port", 0u16, u16::MAX)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "--tcp-port: \"x\" is invalid: give a whole number from 0 to 65535"
        );
    }

    #[test]
    fn each_mistake_in_the_file_names_file_and_key() {
        let read = |text: &str| Given::from_toml(Path::new("node.toml"), text);
        for (text, message) in [
            (
                "tcp-prot = 1",
                "node.toml: tcp-prot is not known; did you mean tcp-port?",
            ),
            (
                "tcp-port = [1]",
                "node.toml: tcp-port is a list, which this flag does not take; give one value",
            ),
            (
                "shard = [1.5]",
                "node.toml: shard is a fraction, which this flag does not take; give one value",
            ),
            (
                "[rest]\nport = 1",
                "node.toml: rest is a table, which this flag does not take; give one value",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), message);
        }
        let error = read("store = true\ntcp-port = ").unwrap_err().to_string();
        assert!(error.starts_with("node.toml is not TOML: line 2: "), "{error}");
        assert!(!error.contains('\n'), "{error}");
        let error = read("store = 3").unwrap().switch("store").unwrap_err();
        assert_eq!(
            error.to_string(),
            "node.toml: store: \"3\" is invalid: give true or false"
        );
        let missing = Given::read(&["--config-file=/nonexistent/node.toml".into()]).unwrap_err();
        assert!(
            missing
                .to_string()
                .starts_with("/nonexistent/node.toml cannot be read: "),
            "{missing}"
        );
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.toml");
        std::fs::write(&path, "shard = [1, 2]\ntcp-port = 5\nstore = true\nnodekey = \"ab\"\n").unwrap();
        let given = Given::read(&[
            format!("--config-file={}", path.display()),
            "--shard=9".into(),
            "--store=false".into(),
        ])
        .unwrap();
        assert_eq!(given.many("shard", str::parse::<u16>), Ok(vec![9]));
        assert_eq!(given.number("tcp-port", 0u16, u16::MAX), Ok(5));
        assert_eq!(given.switch("store"), Ok(false));
        assert_eq!(given.text("nodekey"), Some("ab"));
    }

    proptest! {
        #[test]
        fn no_command_line_panics(args in proptest::collection::vec("(--)?[a-z-]{0,12}[=: ]?.{0,8}", 0..6)) {
            let _ = Given::from_args(&args);
        }

        #[test]
        fn no_file_panics(text in "([a-z-]{1,12} ?= ?[\\[\\]0-9a-z\",.]{0,8}\n?){0,5}") {
            let _ = Given::from_toml(Path::new("node.toml"), &text);
        }
    }
}
