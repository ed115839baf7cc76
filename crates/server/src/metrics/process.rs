//! The process, as the system knows it: read when somebody asks for the metrics, under the names that Prometheus' own clients use.

use jiff::Timestamp;

/// Linux tells processor time in hundredths of a second, on every architecture that this is built for (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Name, kind and meaning of each.
pub(crate) const PROCESS: [(&str, &str, &str); 6] = [
    ("process_cpu_seconds_total", "counter", "Processor time of this process, in user and system mode."),
    ("process_resident_memory_bytes", "gauge", "Resident memory of this process."),
    ("process_open_fds", "gauge", "File descriptors that are open."),
    ("process_max_fds", "gauge", "How many file descriptors may be open."),
    ("process_start_time_seconds", "gauge", "When this process started, in seconds since 1970."),
    ("exequatur_time_seconds", "gauge", "The clock by which decisions are made, in seconds since 1970."),
];

/// Says it as Prometheus reads it (text format 0.0.4). What cannot be read is left out. Written here, since the recorder knows no
/// counters with fractions.
pub(crate) fn exposition(started: Timestamp, now: Timestamp) -> String {
    let read = |file: &str| std::fs::read_to_string(file).ok();
    // The folder itself is open while it is read.
    let open = std::fs::read_dir("/proc/self/fd").map(|found| found.count().saturating_sub(1));
    let open = open.ok().and_then(|open| u32::try_from(open).ok()).map(f64::from);
    let seconds = |time: Timestamp| Some(time.as_duration().as_secs_f64());
    let cpu = read("/proc/self/stat").as_deref().and_then(processor_seconds);
    let resident = read("/proc/self/status").as_deref().and_then(resident_bytes);
    let most_open = read("/proc/self/limits").as_deref().and_then(most_open);
    let values = [cpu, resident, open, most_open, seconds(started), seconds(now)];
    let mut text = String::new();
    for ((name, kind, help), value) in PROCESS.into_iter().zip(values) {
        if let Some(value) = value {
            text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n"));
        }
    }
    text
}

/// Fields 14 and 15 of `stat`, counted after the program's name, which may have spaces and parentheses in it.
fn processor_seconds(stat: &str) -> Option<f64> {
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_ascii_whitespace().skip(11);
    let ticks = |field: &str| field.parse::<f64>().ok();
    Some((ticks(fields.next()?)? + ticks(fields.next()?)?) / TICKS)
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<f64>().ok()? * 1024.0)
}

/// The soft limit, if there is one.
fn most_open(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_told() {
        let text = exposition(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        assert_eq!(
            text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count(),
            6,
            "{text}"
        );
        assert!(
            text.contains("# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total "),
            "{text}"
        );
    }

    #[test]
    fn the_system_s_files_are_read() {
        let stat = "7 (a) b c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 100 1000 50";
        assert_eq!(processor_seconds(stat), Some(3.0));
        assert_eq!(resident_bytes("Name:\ta\nVmRSS:\t    2048 kB\nRssAnon:\t 1 kB\n"), Some(2_097_152.0));
        let limits = |soft: &str| {
            format!("Limit  Soft Limit  Hard Limit  Units\nMax open files   {soft}   4096   files\n")
        };
        assert_eq!(most_open(&limits("1024")), Some(1024.0));
        assert_eq!(most_open(&limits("unlimited")), None);
        for unreadable in ["", "7 (a", "VmRSS: many kB", "Max open files  some"] {
            let read = (processor_seconds(unreadable), resident_bytes(unreadable), most_open(unreadable));
            assert_eq!(read, (None, None, None), "{unreadable}");
        }
    }
}
