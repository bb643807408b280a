//! The closed set of texts, as types. A language is one value of [`Wording`]: what it does not translate, it does not
//! compile without.
//!
//! A [`Template`] has places in braces for values; a [`Counted`] is one that depends on a number. A test compares the
//! places of all languages.

use std::fmt::Display;

/// A text with places for values, such as `{count}`.
#[derive(Clone, Copy, Debug)]
pub struct Template(pub &'static str);

impl Template {
    /// The text with these values in its places.
    pub fn fill(self, values: &[(&str, &dyn Display)]) -> String {
        let mut out = String::with_capacity(self.0.len() + 16);
        let mut rest = self.0;
        // One walk over the template alone: a value that has braces in it stays as it is.
        while let Some((before, (name, after))) = rest
            .split_once('{')
            .and_then(|(before, behind)| Some((before, behind.split_once('}')?)))
        {
            out.push_str(before);
            match values.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => out.push_str(&value.to_string()),
                None => debug_assert!(false, "nothing for {name} in {:?}", self.0),
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

/// A text for one of something, and for any other number of it; `{count}` is the number.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    pub one: Template,
    pub many: Template,
}

impl Counted {
    pub fn fill(self, count: u64, values: &[(&str, &dyn Display)]) -> String {
        let template = if count == 1 { self.one } else { self.many };
        let count: (&str, &dyn Display) = ("count", &count);
        let all: Vec<_> = values.iter().copied().chain([count]).collect();
        template.fill(&all)
    }
}

/// What a fault's code says.
#[derive(Debug)]
pub struct FaultWords {
    /// A noun phrase of a few words.
    pub title: &'static str,
    /// One sentence: what this means for the person whose box it is.
    pub meaning: &'static str,
    /// One or two sentences: what to do.
    pub fix: &'static str,
}

/// All that a text is found in, so that tests can go through every one.
pub(super) trait Texts {
    fn visit(&self, key: &str, see: &mut dyn FnMut(&str, &'static str));
}

impl Texts for &'static str {
    fn visit(&self, key: &str, see: &mut dyn FnMut(&str, &'static str)) {
        see(key, self);
    }
}

impl Texts for Template {
    fn visit(&self, key: &str, see: &mut dyn FnMut(&str, &'static str)) {
        see(key, self.0);
    }
}

impl Texts for Counted {
    fn visit(&self, key: &str, see: &mut dyn FnMut(&str, &'static str)) {
        see(&format!("{key}.one"), self.one.0);
        see(&format!("{key}.many"), self.many.0);
    }
}

impl Texts for FaultWords {
    fn visit(&self, key: &str, see: &mut dyn FnMut(&str, &'static str)) {
        see(&format!("{key}.title"), self.title);
        see(&format!("{key}.meaning"), self.meaning);
        see(&format!("{key}.fix"), self.fix);
    }
}

impl<T: Texts, const N: usize> Texts for [T; N] {
    fn visit(&self, key: &str, see: &mut dyn FnMut(&str, &'static str)) {
        for (index, text) in self.iter().enumerate() {
            text.visit(&format!("{key}.{index}"), see);
        }
    }
}

macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $kind,)*
        }

        impl Texts for $name {
            fn visit(&self, key: &str, see: &mut dyn FnMut(&str, &'static str)) {
                $(self.$field.visit(&format!("{key}.{}", stringify!($field)), see);)*
            }
        }
    )*};
}

tables! {
    /// One language.
    Wording {
        /// The language's tag (RFC 5646), for `<html lang>`.
        tag: &'static str,
        units: Units,
        page: Page,
        state: State,
        change: Change,
        answers: Answers,
        names: Names,
        lights: Lights,
        faults: Faults,
        details: Details,
    }

    /// How numbers are written.
    Units {
        decimal_point: &'static str,
        bytes: &'static str,
        day: &'static str,
        hour: &'static str,
        minute: &'static str,
        second: &'static str,
        ago: Template,
        of_total: Template,
    }

    /// The page's headings, labels and sentences.
    Page {
        what: &'static str,
        no_answer: &'static str,
        at_a_glance: &'static str,
        messages_kept: &'static str,
        peers_connected: &'static str,
        peers_by_way: Template,
        storage_used: &'static str,
        running_for: &'static str,
        last_day: &'static str,
        by_hour: &'static str,
        by_size: &'static str,
        day_ago: &'static str,
        now: &'static str,
        nothing_counted: &'static str,
        nothing_came: Template,
        bars_label: Template,
        area_label: Template,
        busiest: Template,
        seen_for: Template,
        usage: &'static str,
        usage_steps: [&'static str; 3],
        usage_where: &'static str,
        address: &'static str,
        addresses: &'static str,
        copy: &'static str,
        copied: &'static str,
        qr: &'static str,
        no_address: &'static str,
        services: &'static str,
        no_services: &'static str,
        restarted: Counted,
        never_restarted: &'static str,
        process: Template,
        last_exit: Template,
        health: &'static str,
        no_health: &'static str,
        archive: &'static str,
        retention: &'static str,
        a_day: &'static str,
        oldest: &'static str,
        newest: &'static str,
        pruned: &'static str,
        last_prune: &'static str,
        set_aside: &'static str,
        newer: &'static str,
        written: &'static str,
        written_ratio: Template,
        dropped_early: &'static str,
        refused: &'static str,
        refused_for: Template,
        system: &'static str,
        memory: &'static str,
        disk: &'static str,
        processor: &'static str,
        load: &'static str,
        traffic: &'static str,
        in_and_out: Template,
        bandwidth: &'static str,
        each_way: Template,
        board: &'static str,
        version: &'static str,
        peer_id: &'static str,
        json: &'static str,
        metrics: &'static str,
        log: &'static str,
        no_log: &'static str,
        log_of_box: &'static str,
    }

    /// The box's state in a word and a sentence, and what stands beside a code.
    State {
        starting: &'static str,
        ok: &'static str,
        degraded: &'static str,
        failed: &'static str,
        silent: &'static str,
        starting_sentence: &'static str,
        ok_sentence: &'static str,
        ok_sentence_for: Template,
        silent_sentence: Template,
        code: &'static str,
        fix: &'static str,
    }

    /// The section that changes something, and what is said after it has.
    Change {
        heading: &'static str,
        how: &'static str,
        request: &'static str,
        by_code: &'static str,
        by_code_button: &'static str,
        taken: &'static str,
        another: &'static str,
        full: &'static str,
        resting: Counted,
        other_number: &'static str,
        your_number: Template,
        waiting: Counted,
        showing: Template,
        ready: Template,
        asking: &'static str,
        asking_refuse: &'static str,
        asker: Template,
        program_on: Template,
        unknown_program: &'static str,
        open: &'static str,
        restart: Template,
        restart_hint: &'static str,
        report: &'static str,
        report_hint: &'static str,
        reboot: &'static str,
        reboot_hint: &'static str,
        power_off: &'static str,
        power_off_hint: &'static str,
        confirm_time: &'static str,
        confirm_time_hint: &'static str,
        factory_reset: &'static str,
        factory_reset_hint: &'static str,
        sure: &'static str,
        backup: &'static str,
        backup_hint: &'static str,
        passphrase: &'static str,
        passphrase_again: &'static str,
        restore: &'static str,
        restore_hint: &'static str,
        restore_file: &'static str,
        restore_identity: &'static str,
        left_out: &'static str,
        left_out_why: &'static str,
        back: &'static str,
        restoring_partly: &'static str,
        done_restart: &'static str,
        done_reboot: &'static str,
        done_confirm_time: &'static str,
        done_power_off: &'static str,
        done_factory_reset: &'static str,
        done_restore: &'static str,
    }

    /// What a request gets that is not answered with the page; each a line.
    Answers {
        method: &'static str,
        host: &'static str,
        not_found: &'static str,
        form: &'static str,
        switches: &'static str,
        size: &'static str,
        busy: &'static str,
        wrong_code: &'static str,
        too_soon: &'static str,
        differ: &'static str,
        not_done: Template,
    }

    /// What is looked at, and the states of it.
    Names {
        services: &'static str,
        archive: &'static str,
        clock: &'static str,
        disk: &'static str,
        memory: &'static str,
        load: &'static str,
        temperature: &'static str,
        power: &'static str,
        network: &'static str,
        peers: &'static str,
        hardware: &'static str,
        settings: &'static str,
        last_envelope: &'static str,
        reachability: &'static str,
        limits: &'static str,
        watchdog: &'static str,
        level_ok: &'static str,
        level_warn: &'static str,
        level_bad: &'static str,
        service_disabled: &'static str,
        service_inactive: &'static str,
        service_activating: &'static str,
        service_active: &'static str,
        service_deactivating: &'static str,
        service_backoff: &'static str,
        service_failed: &'static str,
        not_checked: &'static str,
        answering: &'static str,
        not_answering: &'static str,
        refused_expired: &'static str,
        refused_future: &'static str,
        refused_share: &'static str,
        refused_read_only: &'static str,
        refused_disk_full: &'static str,
    }

    /// How each pattern of a light looks, and what it says.
    Lights {
        label: &'static str,
        column_looks: &'static str,
        column_means: &'static str,
        off: &'static str,
        off_means: &'static str,
        off_in_failure: &'static str,
        starting: &'static str,
        starting_means: &'static str,
        ok: &'static str,
        ok_means: &'static str,
        degraded: Counted,
        degraded_any: &'static str,
        degraded_means: &'static str,
        failed: Counted,
        failed_any: &'static str,
        failed_means: &'static str,
        frozen: &'static str,
        frozen_means: &'static str,
        silent: &'static str,
        silent_means: &'static str,
        updating: &'static str,
        updating_means: &'static str,
        resetting: &'static str,
        resetting_means: &'static str,
        asking: Template,
        asking_any: &'static str,
        asking_means: &'static str,
        asking_number_means: Template,
        flashes: Template,
        short_flashes: Counted,
        unlocked: &'static str,
        unlocked_means: &'static str,
        address: Template,
        address_any: &'static str,
        address_means: &'static str,
        holding_refuse: &'static str,
        holding_refuse_means: &'static str,
        holding_reboot: &'static str,
        holding_reboot_means: &'static str,
        holding_reset: &'static str,
        holding_reset_means: &'static str,
        holding_cancelled: &'static str,
        holding_cancelled_means: &'static str,
    }

    /// What each code says.
    Faults {
        column_code: &'static str,
        column_means: &'static str,
        column_fix: &'static str,
        service_down: FaultWords,
        archive: FaultWords,
        disk: FaultWords,
        network: FaultWords,
        power: FaultWords,
        temperature: FaultWords,
        clock: FaultWords,
        settings: FaultWords,
        side_service: FaultWords,
        memory: FaultWords,
        hardware: FaultWords,
        peers: FaultWords,
    }

    /// What was found and why the box is as it is, in a few words each.
    Details {
        starting: &'static str,
        stopping: &'static str,
        all_well: &'static str,
        no_mailserver: &'static str,
        services_running: &'static str,
        service_starting: Template,
        service_not_responding: Template,
        service_trouble: Template,
        service_gave_up: Template,
        service_stays_down: Template,
        not_started: &'static str,
        not_started_because: Template,
        ended: Template,
        ended_with_words: Template,
        not_responding: Template,
        not_ready: Counted,
        pruning_stuck: &'static str,
        in_the_way: Template,
        file_set_aside: Template,
        files_set_aside: Template,
        unreadable: Counted,
        newer: Counted,
        messages: Counted,
        lost_on_power_off: Template,
        card_read_only: &'static str,
        free: Template,
        free_warn: Template,
        free_dropping: Template,
        free_full: Template,
        hardware_complete: &'static str,
        limits_held: Counted,
        limits_missing: Template,
        watchdog_off: Template,
        watchdog_other: Template,
        watchdog_on: Template,
        no_mistakes: &'static str,
        settings_not_taken: Template,
        setting_changed: Template,
        time_known: &'static str,
        time_leapt: Template,
        time_not_synchronised: &'static str,
        time_past: Template,
        time_set: &'static str,
        time_alone: Template,
        time_servers_not_asked: &'static str,
        time_servers_silent: &'static str,
        time_servers_answered: Template,
        memory_available: Template,
        load: Template,
        degrees: Template,
        degrees_slowed: Template,
        slowed: &'static str,
        voltage_low: &'static str,
        voltage_was_low: &'static str,
        voltage_ok: &'static str,
        no_link: &'static str,
        no_address: &'static str,
        no_gateway: &'static str,
        gateway: Template,
        public_peers: Counted,
        no_public_peer: &'static str,
        peers: Template,
        peers_by_way: Template,
        reachable: &'static str,
        not_reachable: &'static str,
        none_yet: &'static str,
        under_a_minute_ago: &'static str,
        minutes_ago: Counted,
        hours_ago: Counted,
    }
}
