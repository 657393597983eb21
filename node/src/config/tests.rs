use super::keys::KEYS;
use super::*;

fn none(_: &str) -> Option<String> {
    None
}

fn load(text: &str) -> Result<Config, ConfigError> {
    Config::from_text(Path::new("/srv/fenbu"), text, none)
}

fn complaint(text: &str) -> String {
    load(text).expect_err("must be refused").to_string()
}

fn defaults() -> Config {
    let mut config = Config { dir: "/srv/fenbu".into(), ..Config::default() };
    config.api.socket = "/srv/fenbu/node.sock".into();
    config
}

#[test]
fn an_empty_and_an_absent_file_give_the_defaults() {
    assert_eq!(load("").unwrap(), defaults());
    let dir = tempfile::tempdir().unwrap();
    let config = Config::load(dir.path(), none).unwrap();
    assert_eq!(config.transport, TransportConfig::default());
    assert_eq!(config.api.socket, dir.path().join("node.sock"));
}

#[test]
fn the_example_parses_to_the_defaults_commented_or_not() {
    let text = Config::default_text();
    assert_eq!(load(&text).unwrap(), defaults());
    let uncommented: String = text
        .lines()
        .map(|l| match l.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
            _ => format!("{l}\n"),
        })
        .collect();
    let mut config = load(&uncommented).unwrap();
    let set = std::mem::take(&mut config.set);
    assert_eq!(config, defaults());
    // Only the mtu has no default to show.
    assert_eq!(set.len(), KEYS.len() - 1);
}

#[test]
fn every_serialised_field_is_a_known_key() {
    let mut config = Config::default();
    config.transport.mtu = Some(1280);
    let table = Table::try_from(&config).unwrap();
    check_known(&table, Path::new("x")).unwrap();
    for key in KEYS {
        let value = lookup(&table, key.path).unwrap_or_else(|| panic!("{} is gone", key.path));
        assert!(key.shape.fits(value), "{} has another shape", key.path);
    }
}

#[test]
fn the_environment_overrides_the_file_and_origins_tell() {
    let text = "listen = \"127.0.0.1:1\"\nlog = \"debug\"\n[transport]\nstreams_max = 8\n";
    let config = Config::from_text(Path::new("/d"), text, |name| match name {
        "FENBU_LISTEN" => Some("[::1]:5000".into()),
        "FENBU_TRANSPORT_MTU" => Some("1280".into()),
        "FENBU_TRANSPORT_DISABLE_GSO" => Some("true".into()),
        "FENBU_ADVERTISE" => Some("a.example:1, b.example:2".into()),
        _ => None,
    })
    .unwrap();
    assert_eq!(config.listen, "[::1]:5000".parse().unwrap());
    assert_eq!(config.transport.mtu, Some(1280));
    assert_eq!(config.advertise, ["a.example:1", "b.example:2"]);
    let origins = config.origins();
    let of = |key| origins.iter().find(|(k, _, _)| *k == key).unwrap().clone();
    assert_eq!(of("listen"), ("listen", "\"[::1]:5000\"".into(), Origin::Environment));
    assert_eq!(of("log").2, Origin::File);
    assert_eq!(of("transport.streams_max").1, "8");
    assert_eq!(of("store.readers"), ("store.readers", "2".into(), Origin::Default));
    assert_eq!(of("transport.disable_gso").1, "true");
}

#[test]
fn unknown_keys_are_told_the_nearest() {
    assert!(complaint("lisen = \"x\"").contains("did you mean `listen`?"));
    assert!(complaint("[transport]\nkeepalive_ms = 1").contains("`transport.keep_alive_ms`?"));
    assert!(complaint("mtu = 1300").contains("did you mean `transport.mtu`?"));
    assert!(complaint("[store]\nmtu = 1300").contains("did you mean `transport.mtu`?"));
    assert!(complaint("[tranport]\nmtu = 1300").contains("did you mean `transport`?"));
    assert!(complaint("colour = \"red\"").contains("remove it"));
}

#[test]
fn wrong_values_name_the_key_and_the_remedy() {
    for (text, key, remedy) in [
        ("listen = 4433", "listen", "double quotes"),
        ("listen = \"4433\"", "listen", "\"0.0.0.0:4433\""),
        ("log = \"\"", "log", "such as \"info\""),
        ("log_format = \"xml\"", "log_format", "\"human\" or \"json\""),
        ("advertise = [\"host\"]", "advertise", "no port"),
        ("advertise = [\"0.0.0.0:4433\"]", "advertise", "unspecified"),
        ("advertise = [\"::1:4433\"]", "advertise", "brackets"),
        ("advertise = \"a:1\"", "advertise", "a list"),
        ("transport = 3", "transport", "not a setting"),
        ("[transport]\nmtu = 1100", "transport.mtu", "1200"),
        ("[transport]\nmtu = 70000", "transport.mtu", "1200"),
        ("[transport]\nstreams_max = -1", "transport.streams_max", "0 or more"),
        ("[transport]\nstreams_max = 4", "transport.streams_max", "from 5"),
        ("[transport]\nkeep_alive_ms = 30000", "transport.idle_timeout_ms", "60000 or more"),
        ("[transport]\nredial_max_ms = 10", "transport.redial_max_ms", "from 500"),
        ("[store]\nreaders = 0", "store.readers", "from 1 to 64"),
        ("[store]\nreaders = 99999999999", "store.readers", "smaller"),
        ("[api]\nsocket = \"\"", "api.socket", "file name"),
    ] {
        let said = complaint(text);
        assert!(said.contains(&format!("`{key}`")), "{text:?} said: {said}");
        assert!(said.contains(remedy), "{text:?} said: {said}");
    }
    let long = format!("[api]\nsocket = \"/{}\"", "x".repeat(120));
    assert!(complaint(&long).contains("at most 107"));
    assert!(complaint("listen = ").contains("fenbu.toml is not valid TOML"));
}

#[test]
fn a_wrong_variable_is_named() {
    let said = Config::from_text(Path::new("/d"), "", |name| {
        (name == "FENBU_STORE_READERS").then(|| "many".into())
    })
    .unwrap_err()
    .to_string();
    assert!(said.contains("`store.readers` from FENBU_STORE_READERS"), "{said}");
    let said = Config::from_text(Path::new("/d"), "", |name| {
        (name == "FENBU_STORE_READERS").then(|| "0".into())
    })
    .unwrap_err()
    .to_string();
    assert!(said.contains("FENBU_STORE_READERS"), "{said}");
}

#[test]
fn settings_written_by_init_are_read_back() {
    let text = Config::text_with(&[
        ("listen", Value::String("127.0.0.1:7000".into())),
        ("advertise", Value::Array(vec![Value::String("head.example:7000".into())])),
        ("transport.mtu", Value::Integer(1280)),
    ]);
    let config = load(&text).unwrap();
    assert_eq!(config.listen, "127.0.0.1:7000".parse().unwrap());
    assert_eq!(config.advertise, ["head.example:7000"]);
    assert_eq!(config.transport.mtu, Some(1280));
    assert_eq!(config.set.len(), 3);
}

#[test]
fn addresses_split() {
    assert_eq!(split_address("head.example:4433"), Ok(("head.example", 4433)));
    assert_eq!(split_address("[::1]:1"), Ok(("::1", 1)));
    for wrong in ["", ":1", "a", "a:0", "a:70000", "[::1:1", "a b:1", "http://a:1"] {
        assert!(split_address(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_directory_that_is_not_utf8_can_be_shown() {
    use std::os::unix::ffi::OsStrExt;
    let dir = Path::new(std::ffi::OsStr::from_bytes(b"/srv/\xff"));
    let config = Config::from_text(dir, "", none).unwrap();
    let socket = config.origins().into_iter().find(|(key, _, _)| *key == "api.socket").unwrap();
    assert!(socket.1.contains("node.sock"), "{socket:?}");
}
