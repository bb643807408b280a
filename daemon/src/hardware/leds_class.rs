//! LEDs that the kernel knows already. The kernel's own trigger is taken off first: it would go on blinking when the
//! daemon is dead, and a light that lies is worse than none. It is not put back at the end, for the same reason.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{Error, Lamp};

pub(super) const SYSFS: &str = "/sys/class/leds";

pub(super) struct KernelLamp {
    brightness: File,
    path: PathBuf,
    full: String,
}

impl KernelLamp {
    pub(super) fn open(sysfs: &Path, name: &str) -> Result<KernelLamp, Error> {
        let dir = sysfs.join(name);
        if !dir.is_dir() {
            return Err(Error::NoKernelLed {
                name: name.to_owned(),
                present: present(sysfs),
            });
        }
        let trigger = dir.join("trigger");
        // An LED without triggers has no such file.
        if trigger.exists() {
            std::fs::write(&trigger, "none").map_err(Error::file(&trigger))?;
        }
        let max = dir.join("max_brightness");
        let full = std::fs::read_to_string(&max)
            .map_err(Error::file(&max))?
            .trim()
            .to_owned();
        let path = dir.join("brightness");
        let brightness = OpenOptions::new().write(true).open(&path).map_err(Error::file(&path))?;
        let mut lamp = KernelLamp { brightness, path, full };
        lamp.set(false)?;
        Ok(lamp)
    }
}

impl Lamp for KernelLamp {
    fn set(&mut self, lit: bool) -> Result<(), Error> {
        let value = if lit { self.full.as_str() } else { "0" };
        self.brightness
            .write_all_at(value.as_bytes(), 0)
            .map_err(Error::file(&self.path))
    }
}

impl Drop for KernelLamp {
    fn drop(&mut self) {
        // Nothing is left to be done about a light that cannot be written any more.
        let _ = self.set(false);
    }
}

fn present(sysfs: &Path) -> String {
    let mut names: Vec<String> = std::fs::read_dir(sysfs)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| format!("{:?}", entry.file_name().to_string_lossy()))
        .collect();
    names.sort();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// sysfs as the kernel lays it out, but in ordinary files.
    fn fake_sysfs() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let led = dir.path().join("ACT");
        std::fs::create_dir(&led).unwrap();
        std::fs::write(led.join("trigger"), "none [mmc0] heartbeat").unwrap();
        std::fs::write(led.join("max_brightness"), "255\n").unwrap();
        std::fs::write(led.join("brightness"), "").unwrap();
        dir
    }

    #[test]
    fn the_kernels_trigger_is_taken_off_and_the_light_follows() {
        let sysfs = fake_sysfs();
        let read = |file: &str| std::fs::read_to_string(sysfs.path().join("ACT").join(file)).unwrap();
        let mut lamp = KernelLamp::open(sysfs.path(), "ACT").unwrap();
        assert_eq!(read("trigger"), "none");
        lamp.set(true).unwrap();
        assert_eq!(read("brightness"), "255");
        drop(lamp);
        assert!(read("brightness").starts_with('0'), "dark at the end");
    }

    #[test]
    fn a_missing_led_names_those_that_are_there() {
        let sysfs = fake_sysfs();
        let message = KernelLamp::open(sysfs.path(), "PWR").err().unwrap().to_string();
        assert!(message.contains("PWR") && message.contains("ACT"), "{message}");
    }
}
