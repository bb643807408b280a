//! The supply's voltage and the processor's being slowed down, from sysfs below a root that tests can make.
//!
//! Under-voltage: the hwmon device `rpi_volt` and its alarm (Linux, `Documentation/hwmon/raspberrypi-hwmon.rst`), which
//! boards without the Raspberry Pi's firmware do not have. Slowing down: a thermal cooling device of cpufreq that is at
//! work (`Documentation/driver-api/thermal/sysfs-api.rst`). Raspberry Pi OS's kernel has both in one file,
//! `get_throttled` (raspberrypi.com/documentation, "vcgencmd"), of which the bits of the moment are used.

use std::path::Path;

use crate::snapshot::PowerStatus;

const UNDER_VOLTAGE: u32 = 1;
const THROTTLED: u32 = 1 << 2;
const SOFT_TEMPERATURE_LIMIT: u32 = 1 << 3;

pub fn read(root: &Path) -> PowerStatus {
    let firmware = firmware(root);
    PowerStatus {
        under_voltage: alarm(root).or(firmware.map(|bits| bits & UNDER_VOLTAGE != 0)),
        throttled: cooling(root).or(firmware.map(|bits| bits & (THROTTLED | SOFT_TEMPERATURE_LIMIT) != 0)),
    }
}

fn text(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn entries(folder: &Path) -> impl Iterator<Item = std::path::PathBuf> + use<> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}

fn alarm(root: &Path) -> Option<bool> {
    let mut devices = entries(&root.join("sys/class/hwmon"));
    let device = devices.find(|device| text(&device.join("name")).as_deref() == Some("rpi_volt"))?;
    Some(text(&device.join("in0_lcrit_alarm"))?.parse::<u32>().ok()? != 0)
}

/// Whether any of the processor's cooling devices is at work; nothing where there is none.
fn cooling(root: &Path) -> Option<bool> {
    entries(&root.join("sys/class/thermal"))
        .filter(|device| text(&device.join("type")).is_some_and(|kind| kind.contains("cpufreq")))
        .filter_map(|device| text(&device.join("cur_state"))?.parse::<u32>().ok())
        .map(|state| state > 0)
        .reduce(|one, other| one || other)
}

fn firmware(root: &Path) -> Option<u32> {
    let bits = text(&root.join("sys/devices/platform/soc/soc:firmware/get_throttled"))?;
    u32::from_str_radix(bits.trim_start_matches("0x"), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_boards_tell() {
        type Files = &'static [(&'static str, &'static str)];
        const VOLT: &str = "sys/class/hwmon/hwmon1/name";
        const ALARM: &str = "sys/class/hwmon/hwmon1/in0_lcrit_alarm";
        const KIND: &str = "sys/class/thermal/cooling_device0/type";
        const STATE: &str = "sys/class/thermal/cooling_device0/cur_state";
        const BITS: &str = "sys/devices/platform/soc/soc:firmware/get_throttled";
        let cases: &[(Files, Option<bool>, Option<bool>)] = &[
            (&[], None, None),
            (
                &[("sys/class/hwmon/hwmon0/name", "cpu_thermal\n"), (ALARM, "1\n")],
                None,
                None,
            ),
            (&[(VOLT, "rpi_volt\n"), (ALARM, "0\n")], Some(false), None),
            (&[(VOLT, "rpi_volt\n"), (ALARM, "1\n")], Some(true), None),
            (&[(VOLT, "rpi_volt\n"), (ALARM, "broken\n")], None, None),
            (&[(KIND, "cpufreq-cpu0\n"), (STATE, "0\n")], None, Some(false)),
            (&[(KIND, "thermal-cpufreq-0\n"), (STATE, "2\n")], None, Some(true)),
            (&[(KIND, "pwm-fan\n"), (STATE, "2\n")], None, None),
            (&[(BITS, "50000\n")], Some(false), Some(false)),
            (&[(BITS, "0x50005\n")], Some(true), Some(true)),
            (&[(BITS, "8\n")], Some(false), Some(true)),
        ];
        for (files, under_voltage, throttled) in cases {
            let root = tempfile::tempdir().unwrap();
            for (path, text) in *files {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            let wanted = PowerStatus {
                under_voltage: *under_voltage,
                throttled: *throttled,
            };
            assert_eq!(read(root.path()), wanted, "{files:?}");
        }
    }
}
