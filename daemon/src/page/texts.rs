//! Every English word of the page, except those of the faults ([`crate::fault`]). To translate the page, translate this
//! file and that table.

use crate::asking::{Asker, Refusal, Turn};
use crate::button::Held;
use crate::indicator::Pattern;
use crate::snapshot::{BoxState, Level, ServiceHealth, ServiceStateName, Subject};

pub(super) const NAME: &str = "Pillarbox";
pub(super) const WHAT: &str = "Your own mailserver for Status";
pub(super) const NO_ANSWER: &str = "The box does not answer. Trying again\u{2026}";
pub(super) const REFUSED_METHOD: &str = "This page can only be read.\n";
pub(super) const REFUSED_HOST: &str =
    "This box does not answer to that name. Use its address, or add the name to page.names in the configuration.\n";
pub(super) const NOT_FOUND: &str = "There is nothing here. The page is at /\n";

pub(super) const MENU_FACTS: &str = "At a glance";
pub(super) const KEPT: &str = "Messages kept";
pub(super) const PEERS: &str = "Peers connected";
pub(super) const STORAGE: &str = "Storage used";
pub(super) const RUNNING: &str = "Running for";
pub(super) const UNKNOWN: &str = "\u{2013}";

pub(super) const LIGHTS: &str = "The light";
pub(super) const LAST_DAY: &str = "The last 24 hours";
pub(super) const BY_HOUR: &str = "Messages an hour";
pub(super) const BY_SIZE: &str = "Storage";
pub(super) const DAY_AGO: &str = "24 h ago";
pub(super) const NOW: &str = "now";
pub(super) const NOTHING_COUNTED: &str = "Counting begins with the first look into the archive.";

pub(super) const USE: &str = "Use this box in the Status app";
pub(super) const USE_STEPS: [&str; 3] = [
    "In Status, open Settings, then Messaging or Advanced, then History nodes (older versions say Waku nodes).",
    "Turn off \u{201c}Select node automatically\u{201d} and add a node: any name, and the address below.",
    "Choose the new node. From now on, Status fetches missed messages from this box.",
];
pub(super) const USE_WHERE: &str =
    "The address works in the same network as the box. From outside, use the box's public address instead.";
pub(super) const ADDRESS: &str = "Address";
pub(super) const ADDRESSES: &str = "All addresses";
pub(super) const COPY: &str = "Copy";
pub(super) const COPIED: &str = "Copied";
pub(super) const QR: &str = "The address as a QR code";
pub(super) const NO_ADDRESS: &str = "The address appears here as soon as the mailserver runs.";

pub(super) const SERVICES: &str = "Services";
pub(super) const NO_SERVICES: &str = "No service is set up.";
pub(super) const HEALTH: &str = "Health";
pub(super) const NO_HEALTH: &str = "Nothing was measured yet.";
pub(super) const ARCHIVE: &str = "Archive";
pub(super) const SYSTEM: &str = "The box";
pub(super) const OLDEST: &str = "Oldest message";
pub(super) const NEWEST: &str = "Newest message";
pub(super) const RETENTION: &str = "Kept for";
pub(super) const PRUNED: &str = "Removed since the start";
pub(super) const LAST_PRUNE: &str = "Last removal";
pub(super) const SET_ASIDE: &str = "Files set aside";
pub(super) const NEWER: &str = "Files of a newer version, left alone";
pub(super) const WEAR: &str = "Written to the card in a day";
pub(super) const DROPPED_EARLY: &str = "Removed early, for want of room";
pub(super) const REFUSED: &str = "Not stored";
pub(super) const MEMORY: &str = "Memory";
pub(super) const DISK: &str = "Disk";
pub(super) const TEMPERATURE: &str = "Processor";
pub(super) const LOAD: &str = "Load";
pub(super) const TRAFFIC: &str = "Traffic this month";
pub(super) const CAP: &str = "Traffic is held to";
pub(super) const BOARD: &str = "Board";
pub(super) const VERSION: &str = "Version";
pub(super) const PEER_ID: &str = "Peer ID";
pub(super) const JSON: &str = "All of this as JSON";
pub(super) const METRICS: &str = "For Prometheus";
pub(super) const CODE_LABEL: &str = "Code";
pub(super) const MEND: &str = "What to do:";
pub(super) const NOT_CHECKED: &str = "not checked";

pub(super) const LOG: &str = "Last words";
pub(super) const NO_LOG: &str = "Nothing was said yet.";
pub(super) const LOG_DAEMON: &str = "box";
pub(super) const DIAGNOSTICS: &str = "Download a report";
pub(super) const DIAGNOSTICS_HINT: &str =
    "For whoever helps you: state and last words of the box, without public addresses, keys and whole peer IDs.";
pub(super) const CHANGE: &str = "Change something";
pub(super) const CHANGE_HOW: &str = "This page can only look. To change something, ask here first. You get a number; when the light on the box blinks it, press the button.";
pub(super) const CHANGE_ASK: &str = "Ask to be let in";
pub(super) const CHANGE_WORD: &str = "Or type the word from the card:";
pub(super) const CHANGE_WORD_ASK: &str = "Let me in";
pub(super) const REFUSED_WORD: &str = "That is not the word from the card.\n";
pub(super) const REFUSED_SOON: &str = "One try a second: wait a moment, and try again.\n";
pub(super) const CHANGE_TAKEN: &str =
    "Another browser was let in just now. Wait until its five minutes are over, and ask again.";
pub(super) const CHANGE_ANOTHER: &str =
    "Another browser at your address asked already, and one is enough. Use that one, or wait until its turn is over.";
pub(super) const CHANGE_FULL: &str = "Too many browsers are asking. Wait a minute and ask again. If it goes on, open this page by the box\u{2019}s IPv4 address, such as http://192.168.1.5/.";
pub(super) const CHANGE_OTHER_NUMBER: &str =
    "If the light blinks another number, somebody else is asking: do not press, wait for yours.";
pub(super) const ASKING: &str = "Asking to be let in";
pub(super) const ASKING_REFUSE: &str = "A press lets in the first of them. If that is nobody you know, do not press: hold the button for 2 to 5 seconds to refuse it, or wait a minute.";
pub(super) const CHANGE_OPEN: &str = "This browser may change things for five minutes.";
pub(super) const RESTART_HINT: &str = "Takes a few seconds. Nothing is lost.";
pub(super) const REBOOT: &str = "Restart the box";
pub(super) const REBOOT_HINT: &str = "Takes a minute or two. Nothing is lost.";
pub(super) const POWER_OFF: &str = "Switch the box off";
pub(super) const POWER_OFF_HINT: &str = "Before unplugging it. To switch it on again, unplug it and plug it in.";
pub(super) const CONFIRM_TIME: &str = "The clock is right";
pub(super) const CONFIRM_TIME_HINT: &str = "The box does not believe its clock; Health above says why and what time it shows. Confirm it only if that is the right time.";
pub(super) const FACTORY_RESET: &str = "Reset to factory settings";
pub(super) const FACTORY_RESET_HINT: &str = "Starts anew with empty settings and an empty archive. The old ones are set aside on the card; the box's identity stays.";
pub(super) const BACKUP: &str = "Download a backup";
pub(super) const BACKUP_HINT: &str = "The box\u{2019}s identity and settings, without any message. Only the passphrase opens it: at least ten characters, best four or five words. Keep it well.";
pub(super) const PASSPHRASE: &str = "Passphrase";
pub(super) const PASSPHRASE_AGAIN: &str = "The same again";
pub(super) const RESTORE: &str = "Restore the backup";
pub(super) const RESTORE_HINT: &str =
    "Takes identity and settings from a backup. The present ones are set aside on the card, and the box starts anew.";
pub(super) const RESTORING: &str = "The backup is being restored. The page comes back by itself.";
pub(super) const RESTORING_PARTLY: &str = "The backup is being restored, and the box starts anew.";
pub(super) const LEFT_OUT: &str = "Not everything in the backup was restored";
pub(super) const LEFT_OUT_WHY: &str = "A backup may only bring back what a person sets for themselves, such as name, network, storage and notifications. It may not say which programs run, where files are, or who may log in. These settings were left out:";
pub(super) const BACK: &str = "Back to the box\u{2019}s page";
pub(super) const RESTORE_FILE: &str = "Backup";
pub(super) const RESTORE_IDENTITY: &str = "Only the identity, not the settings";
pub(super) const REFUSED_AGAIN: &str = "The two passphrases differ. Go back and type them again.\n";
pub(super) const SURE: &str = "I am sure";
pub(super) const REFUSED_FORM: &str =
    "Refused: this did not come from the box's own page, or not in time. Open the page again.\n";
pub(super) const REFUSED_SWITCH: &str = "This machine is not switched from here.\n";
pub(super) const REFUSED_SIZE: &str = "Too long, or too slow.\n";
pub(super) const BUSY: &str = "The box is too busy to be asked. Try again in a moment.\n";

pub(super) fn restart_service(name: &str) -> String {
    format!("Restart {name}")
}

/// Why this address may not ask now.
pub(super) fn may_not_ask(refusal: Refusal) -> String {
    match refusal {
        Refusal::Taken => CHANGE_TAKEN.to_owned(),
        Refusal::Another => CHANGE_ANOTHER.to_owned(),
        Refusal::Full => CHANGE_FULL.to_owned(),
        Refusal::Resting { left } => {
            let secs = left.as_secs().max(1);
            format!("Your address asked a moment ago. It may ask again in {secs} seconds.")
        }
    }
}

/// The badge of a browser that asks.
pub(super) fn your_number(number: u8) -> String {
    format!("Your number: {number}")
}

/// What the light says while a browser asks.
pub(super) fn asks(number: u8) -> String {
    format!(
        "A browser asks to be let in under the number {number}. Press only if the page in front of you shows it as yours."
    )
}

/// What the browser that asks is to do.
pub(super) fn asking_turn(turn: Turn, number: u8, before: usize) -> String {
    let blinks = in_flashes(number);
    match turn {
        Turn::Waiting if before == 1 => "One browser asks before this one. Its turn takes a minute at most.".to_owned(),
        Turn::Waiting => format!("{before} browsers ask before this one. Each has a minute at most."),
        Turn::Showing => format!("The light blinks it now: {blinks}. Count the flashes, then press."),
        Turn::Ready => format!("Press the button on the box now, if the light blinks this number: {blinks}."),
    }
}

/// A number as the light blinks it.
fn in_flashes(number: u8) -> String {
    format!(
        "two long flashes, then {}, a pause, and {}",
        short_flashes(number / 10),
        short_flashes(number % 10)
    )
}

/// One of those that ask.
pub(super) fn asker(asker: &Asker) -> String {
    format!("{}: {} at {}", asker.number, asker.program, asker.address)
}

/// A refusal that says why and what to do.
pub(super) fn refused(why: &str) -> String {
    format!("Not done: {why}.\n")
}

/// What is said after a deed, by the word in the page's address.
pub(super) fn done(word: &str) -> Option<&'static str> {
    match word {
        "restart" => Some("The service is being restarted."),
        "reboot" => Some("The box restarts now. The page comes back by itself."),
        "confirm-time" => Some("The box takes its clock for right. Old messages are removed again within a day."),
        "power-off" => Some("The box switches off now. Unplug it when its light is dark."),
        "factory-reset" => Some("The box sets its state aside and starts anew."),
        "restore" => Some(RESTORING),
        _ => None,
    }
}

pub(super) const DARK_IN_FAILURE: &str = "The box does not do its job; the other light says why.";

/// The state in one word.
pub(super) fn word(state: BoxState) -> &'static str {
    match state {
        BoxState::Starting => "Starting",
        BoxState::Ok => "Working",
        BoxState::Degraded => "Attention",
        BoxState::Failed => "Failed",
    }
}

pub(super) const WORD_SILENT: &str = "Silent";

/// The state in one sentence, where the supervisor has nothing more precise to say.
pub(super) fn sentence(state: BoxState, kept_secs: Option<u64>) -> String {
    match (state, kept_secs) {
        (BoxState::Starting, _) => "The mailserver is starting. This takes a few seconds.".to_owned(),
        (BoxState::Ok, Some(secs)) => {
            format!(
                "Messages are received, kept for {} and handed out to Status apps that missed them.",
                for_long(secs)
            )
        }
        (BoxState::Ok, None) => {
            "Messages are received, kept and handed out to Status apps that missed them.".to_owned()
        }
        (BoxState::Degraded, _) => "The mailserver does its job, but something wants a look.".to_owned(),
        (BoxState::Failed, _) => "The mailserver does not do its job.".to_owned(),
    }
}

pub(super) fn sentence_silent(secs: u64) -> String {
    format!("The supervisor has said nothing for {secs} seconds. What is shown below is older than that.")
}

pub(super) fn for_long(secs: u64) -> String {
    match secs {
        86_400 => "24 hours".to_owned(),
        secs => super::format::span(secs),
    }
}

pub(super) fn ago(span: &str) -> String {
    format!("{span} ago")
}

pub(super) fn of_total(used: &str, total: &str) -> String {
    format!("{used} of {total}")
}

/// Connected peers by who called whom.
pub(super) fn peers(came: u64, went: u64) -> String {
    format!("Peers: {came} in, {went} out")
}

pub(super) fn in_and_out(received: &str, sent: &str) -> String {
    format!("{received} in, {sent} out")
}

pub(super) fn each_way(kib_per_sec: u32) -> String {
    format!("{kib_per_sec}\u{a0}KiB a second each way")
}

pub(super) fn restarts(count: u64) -> String {
    match count {
        0 => "never restarted".to_owned(),
        1 => "restarted once".to_owned(),
        count => format!("restarted {count} times"),
    }
}

pub(super) fn process(pid: u32) -> String {
    format!("process {pid}")
}

pub(super) fn last_exit(exit: &str) -> String {
    format!("last end: {exit}")
}

pub(super) fn service_state(state: ServiceStateName) -> &'static str {
    match state {
        ServiceStateName::Disabled => "Off",
        ServiceStateName::Inactive => "Stopped",
        ServiceStateName::Activating => "Starting",
        ServiceStateName::Active => "Running",
        ServiceStateName::Deactivating => "Stopping",
        ServiceStateName::Backoff => "Waiting to restart",
        ServiceStateName::Failed => "Given up",
    }
}

pub(super) fn service_health(health: Option<ServiceHealth>) -> &'static str {
    match health {
        None => NOT_CHECKED,
        Some(ServiceHealth::Ok) => "answers",
        Some(ServiceHealth::Failing) => "does not answer",
    }
}

pub(super) fn subject(subject: Subject) -> &'static str {
    match subject {
        Subject::Services => "Services",
        Subject::Archive => "Archive",
        Subject::Clock => "Clock",
        Subject::Disk => "Disk",
        Subject::Memory => "Memory",
        Subject::Load => "Load",
        Subject::Temperature => "Temperature",
        Subject::Power => "Power supply",
        Subject::Network => "Network",
        Subject::Peers => "Peers",
        Subject::Hardware => "Light, button, port",
        Subject::Settings => "Settings",
        Subject::LastEnvelope => "Newest message",
        Subject::Reachability => "From outside",
        Subject::Limits => "Limits of services",
        Subject::Watchdog => "Watchdog",
    }
}

pub(super) fn level(level: Level) -> &'static str {
    match level {
        Level::Ok => "Fine",
        Level::Warn => "Attention",
        Level::Bad => "Bad",
    }
}

pub(super) fn nothing_came(seen_for: &str) -> String {
    format!("No message has come in yet. Counting for {seen_for}.")
}

/// What a chart says, for who cannot see it.
pub(super) fn bars_label(seen_hours: usize, total: u64, most: u64) -> String {
    format!("Messages an hour over {seen_hours} of the last 24 hours: {total} in all, {most} in the busiest hour.")
}

pub(super) fn area_label(now: &str, most: &str) -> String {
    format!("Storage over the last 24 hours: {now} now, {most} at most.")
}

pub(super) fn busiest(count: &str) -> String {
    format!("busiest hour {count}")
}

pub(super) fn seen_for(span: &str) -> String {
    format!("seen for {span}")
}

/// How a pattern looks.
pub(super) fn looks(pattern: Pattern) -> String {
    match pattern {
        Pattern::Off => "Dark".to_owned(),
        Pattern::Starting => "Blinks evenly, about once a second".to_owned(),
        Pattern::Ok => "Lit, with a short wink every two seconds".to_owned(),
        Pattern::Degraded(code) => format!("Lit for a while, then one long flash and {}", short_flashes(code)),
        Pattern::Failed(code) => format!("Dark, with one long flash and {}", short_flashes(code)),
        Pattern::Silent => "Dark, with a very short flash every two seconds".to_owned(),
        Pattern::Updating => "Flashes three times, every two seconds".to_owned(),
        Pattern::Resetting => "Lit and dark by turns, a second and a half each".to_owned(),
        Pattern::Asking(number) => {
            let blinks = in_flashes(number);
            format!("T{}", blinks.trim_start_matches('t'))
        }
        Pattern::Unlocked => "Lit, with two winks in a row".to_owned(),
        Pattern::Address(last) => format!("Blinks the number {last}, digit by digit (a long flash is a zero)"),
        Pattern::Holding(Held::Refuse) => "Lit while the button is held".to_owned(),
        Pattern::Holding(Held::Reboot) => "Blinks fast while the button is held".to_owned(),
        Pattern::Holding(Held::FactoryReset) => "Flickers while the button is held".to_owned(),
        Pattern::Holding(Held::Cancelled) => "Dark while the button is held".to_owned(),
    }
}

fn short_flashes(count: u8) -> String {
    match count {
        1 => "1 short one".to_owned(),
        count => format!("{count} short ones"),
    }
}

/// What a pattern says. Those of faults say it by their code.
pub(super) fn means(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::Off => "Nothing to report.",
        Pattern::Starting => "The box is starting.",
        Pattern::Ok => "The box does its job.",
        Pattern::Degraded(_) => "The box does its job, but something wants a look.",
        Pattern::Failed(_) => "Something is wrong: count the short flashes.",
        Pattern::Silent => "The supervisor hangs. If it stays, switch the box off and on.",
        Pattern::Updating => "A new version is being installed. Leave the box switched on.",
        Pattern::Resetting => "The box goes back to factory settings.",
        Pattern::Asking(_) => "A browser asks to be let in. Press only if the page in front of you shows this number.",
        Pattern::Unlocked => "A browser may change things on this box for a few minutes.",
        Pattern::Address(_) => "The last number of the box's address.",
        Pattern::Holding(Held::Refuse) => "Letting go now refuses a browser that asks, and does nothing else.",
        Pattern::Holding(Held::Reboot) => "Letting go now restarts the box.",
        Pattern::Holding(Held::FactoryReset) => "Letting go now resets the box to how it was when it was new.",
        Pattern::Holding(Held::Cancelled) => "Letting go now does nothing.",
    }
}

/// The lights as a Markdown table, for the README.
pub(super) fn markdown() -> String {
    use Held::{Cancelled, FactoryReset, Reboot, Refuse};
    let mut out = String::from("| the light | what it says |\n|---|---|\n");
    let mut row = |looks: &str, means: &str| out.push_str(&format!("| {looks} | {means} |\n"));
    for pattern in [Pattern::Starting, Pattern::Ok] {
        row(&looks(pattern), means(pattern));
    }
    row(
        "Lit for a while, then one long flash and some short ones",
        means(Pattern::Degraded(0)),
    );
    row(
        "Dark, with one long flash and some short ones",
        "The box does not do its job: count the short flashes.",
    );
    row(
        "Does not change for five seconds",
        "Nobody is at home: no power, or the box hangs.",
    );
    for pattern in [Pattern::Silent, Pattern::Updating, Pattern::Resetting] {
        row(&looks(pattern), means(pattern));
    }
    row(
        "Two long flashes, then short ones, a pause, and short ones again",
        "A browser asks to be let in. The short flashes are its number: press only if the page in front of you shows it.",
    );
    row(&looks(Pattern::Unlocked), means(Pattern::Unlocked));
    row(
        "Blinks a number, digit by digit (a long flash is a zero)",
        means(Pattern::Address(0)),
    );
    for held in [Refuse, Reboot, FactoryReset, Cancelled] {
        row(&looks(Pattern::Holding(held)), means(Pattern::Holding(held)));
    }
    out
}
