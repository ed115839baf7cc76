//! The configuration file: read, or refused with places that are in the text; what is shown of it is a
//! configuration again, and the same one.

use std::path::PathBuf;

use exequatur_server::config::{self, Config, Problems, Source};

/// The laws.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match read(text) {
        Ok(config) => {
            let shown = config::show(&config);
            let again = read(&shown).map_err(|problems| problems.render(false));
            let again = again.unwrap_or_else(|problems| panic!("{shown}\n{problems}"));
            // The first two lines name the file and its digest.
            let body = |text: &str| text.lines().skip(2).map(str::to_owned).collect::<Vec<_>>();
            let settings = |lines: Vec<String>| -> Vec<String> {
                lines.into_iter().take_while(|line| !line.starts_with("# Routes without")).collect()
            };
            assert_eq!(settings(body(&config::show(&again))), settings(body(&shown)));
        }
        Err(problems) => {
            assert!(problems.iter().len() > 0);
            for place in problems.iter().filter_map(|problem| problem.place) {
                assert!(text.get(place.offset..place.offset + place.length).is_some(), "{place:?}");
                assert!(place.line >= 1 && place.column >= 1, "{place:?}");
            }
            assert!(!problems.render(false).is_empty());
        }
    }
}

fn read(text: &str) -> Result<Config, Problems> {
    config::from_text(Source { path: PathBuf::from("/etc/exequatur/exequatur.yaml"), text: text.into() })
}
