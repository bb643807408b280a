//! Every board that ships is read and says what it should; every mistake has its own message.

use std::path::Path;

use board_configs::{Arch, Board, ButtonDriver, LedDriver, PartitionTable, Proof, Pull, Shows, names};

#[test]
fn every_shipped_board_is_usable_and_every_file_ships() {
    for name in names() {
        let board = Board::named(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(board.name, name);
        assert!(!board.leds.is_empty(), "{name} has no light");
    }
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards");
    for entry in std::fs::read_dir(dir).unwrap() {
        let stem = entry
            .unwrap()
            .path()
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let bases = [
            "common",
            "raspberry-pi",
            "raspberry-pi-act",
            "raspberry-pi-card",
            "single-board-card",
        ];
        let base = bases.contains(&stem.as_str());
        assert!(base || names().contains(&stem.as_str()), "{stem}.toml does not ship");
    }
}

#[test]
fn dev_simulates_everything() {
    let board = Board::named("dev").unwrap();
    assert_eq!((board.arch, board.proof), (Arch::Native, Proof::TestSuite));
    assert!(board.leds.values().all(|led| led.driver == LedDriver::Simulated));
    assert_eq!(board.button.unwrap().driver, ButtonDriver::Simulated);
}

#[test]
fn a_board_takes_the_rest_from_what_it_is_like() {
    let board = Board::named("rpi-4").unwrap();
    let LedDriver::Gpiocdev(status) = &board.leds["status"].driver else {
        panic!("{board:?}")
    };
    assert_eq!(
        status.chip, "pinctrl-bcm2711",
        "the family's LED on the board's own chip"
    );
    assert_eq!(board.leds["board"].shows, Shows::All);
    let button = board.button.unwrap();
    assert_eq!(button.debounce.as_millis(), 20, "from common.toml");
    let ButtonDriver::Gpiocdev(line) = button.driver else {
        panic!("{:?}", button.driver)
    };
    assert_eq!((line.active_low, line.pull), (true, Pull::Up));
}

#[test]
fn boards_that_nobody_ran_say_so() {
    for name in names()
        .into_iter()
        .filter(|name| !name.starts_with("qemu-") && *name != "dev")
    {
        assert_eq!(Board::named(name).unwrap().proof, Proof::Untested, "{name}");
    }
}

/// Each mistake with what its message must name.
#[test]
fn mistakes_name_file_key_and_mend() {
    const HEAD: &str = "title = \"Mine\"\narch = \"arm64\"\ngpio_chip = \"c\"\n";
    let cases: &[(&str, String, &[&str])] = &[
        ("unknown key", format!("{HEAD}colour = 1\n"), &["colour", ":4:"]),
        (
            "unknown key in an LED",
            format!("{HEAD}[leds.a]\nshows = \"all\"\nsize = 1\ndriver = \"simulated\"\n"),
            &["size"],
        ),
        (
            "unknown driver",
            format!("{HEAD}[leds.a]\nshows = \"all\"\ndriver = \"magic\"\n"),
            &["magic", "gpiocdev"],
        ),
        (
            "unknown key in a driver",
            format!("{HEAD}[leds.a]\nshows = \"all\"\ndriver.gpiocdev = {{ line = 1, pin = 2 }}\n"),
            &["pin"],
        ),
        ("not TOML", "title = ".to_owned(), &[":1:"]),
        ("no title", "arch = \"arm64\"\n".to_owned(), &["title", "add it"]),
        (
            "no chip",
            "title = \"M\"\narch = \"arm64\"\n[leds.a]\nshows = \"all\"\ndriver.gpiocdev = { line = 1 }\n".to_owned(),
            &["gpio_chip", "leds.a"],
        ),
        (
            "no such base",
            format!("like = \"mango\"\n{HEAD}"),
            &["mango", "raspberry-pi"],
        ),
        (
            "a pin twice",
            format!(
                "{HEAD}[leds.a]\nshows = \"all\"\ndriver.gpiocdev = {{ line = 7 }}\n[button]\ndriver.gpiocdev = {{ line = 7, chip = \"c\" }}\n"
            ),
            &["leds.a", "button", "line 7"],
        ),
        (
            "a pin twice, by two libraries",
            format!(
                "{HEAD}[leds.a]\nshows = \"all\"\ndriver.gpiocdev = {{ line = 7 }}\n[leds.b]\nshows = \"all\"\ndriver.rppal = {{ pin = 7 }}\n"
            ),
            &["leds.a", "leds.b"],
        ),
        (
            "a kernel LED twice",
            format!(
                "{HEAD}[leds.a]\nshows = \"all\"\ndriver.leds-class = {{ name = \"ACT\" }}\n[leds.b]\nshows = \"all\"\ndriver.leds-class = {{ name = \"ACT\" }}\n"
            ),
            &["ACT", "leds.a", "leds.b"],
        ),
        (
            "a pin that the board needs",
            format!("like = \"rpi-4\"\n{HEAD}[leds.status]\nshows = \"all\"\ndriver.gpiocdev = {{ line = 14 }}\n"),
            &["leds.status", "serial console"],
        ),
        (
            "debounce",
            format!("{HEAD}[button]\ndriver = \"simulated\"\ndebounce_ms = 9000\n"),
            &["button.debounce_ms", "9000", "1 to 200"],
        ),
        (
            "a kernel argument that would end its quotes",
            "like = \"rpi-4\"\n[image]\nkernel_arguments = [\"a\\\";reset\"]\n".to_owned(),
            &["image.kernel_arguments", "one argument each"],
        ),
        (
            "an LED's name",
            format!("{HEAD}[leds.\"../x\"]\nshows = \"all\"\ndriver = \"simulated\"\n"),
            &["../x"],
        ),
        (
            "a kernel LED's name that leads elsewhere",
            format!("{HEAD}[leds.a]\nshows = \"all\"\ndriver.leds-class = {{ name = \"../mmc0\" }}\n"),
            &["leds.a", "../mmc0", "/sys/class/leds"],
        ),
        (
            "more LEDs than can be read",
            (1..10).fold(HEAD.to_owned(), |text, number| {
                format!("{text}[leds.a{number}]\nshows = \"all\"\ndriver = \"simulated\"\n")
            }),
            &["leds", "\"9\"", "8 at most"],
        ),
        (
            "a title of two lines",
            "title = \"M\\nN\"\narch = \"arm64\"\n".to_owned(),
            &["title", "one line"],
        ),
        (
            "a file that is no board's",
            format!("{HEAD}# {}\n", "x".repeat(64 * 1024)),
            &["64 KiB", "only what is different"],
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (what, text, wanted) in cases {
        let path = dir.path().join("mine.toml");
        std::fs::write(&path, text).unwrap();
        let message = Board::from_file(&path).expect_err(what).to_string();
        assert!(message.contains("mine.toml"), "{what}: {message}");
        for word in *wanted {
            assert!(message.contains(word), "{what}: {word:?} is not in: {message}");
        }
    }
}

#[test]
fn a_file_of_ones_own_changes_only_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    std::fs::write(
        &path,
        "like = \"rpi-4\"\ntitle = \"Mine\"\n[leds.status]\nshows = \"all\"\ndriver.rppal = { pin = 17 }\n",
    )
    .unwrap();
    let mine = Board::find(path.to_str().unwrap()).unwrap();
    let theirs = Board::named("rpi-4").unwrap();
    assert_eq!(mine.button, theirs.button);
    assert_eq!(mine.leds["fault"], theirs.leds["fault"]);
    assert_ne!(mine.leds["status"], theirs.leds["status"]);
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let message = Board::find("toaster").unwrap_err().to_string();
    assert!(message.contains("toaster") && message.contains("rpi-4"), "{message}");
}

/// `like` means the file that ships, also in a file of the same name.
#[test]
fn a_file_may_be_like_its_namesake() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dev.toml");
    std::fs::write(&path, "like = \"dev\"\ntitle = \"Mine\"\n").unwrap();
    let mine = Board::from_file(&path).unwrap();
    assert_eq!(
        (mine.title.as_str(), &mine.leds),
        ("Mine", &Board::named("dev").unwrap().leds)
    );
}

#[test]
fn a_card_takes_the_rest_from_its_family() {
    let image = Board::named("rpi-4").unwrap().image.unwrap();
    assert_eq!(image.partition_table, PartitionTable::Hybrid);
    assert_eq!(
        image.boot_packages,
        ["raspi-firmware", "u-boot-rpi", "firmware-brcm80211"]
    );
    assert_eq!(image.kernel_suite, None);
    let newer = Board::named("rpi-5").unwrap().image.unwrap();
    assert_eq!(newer.kernel_suite.as_deref(), Some("trixie-backports"));
    let names: Vec<&str> = image.boot_files.iter().map(|file| file.to.as_str()).collect();
    assert!(
        names.contains(&"u-boot.bin") && names.contains(&"start4cd.elf"),
        "{names:?}"
    );
    assert!(
        Board::named("dev").unwrap().image.is_none(),
        "a developer's machine is never flashed"
    );
}

/// Every file on a FAT partition has one source.
#[test]
fn no_boot_file_twice() {
    for name in names() {
        let files = Board::named(name)
            .unwrap()
            .image
            .map(|image| image.boot_files)
            .unwrap_or_default();
        for (index, file) in files.iter().enumerate() {
            assert!(
                files[..index].iter().all(|other| other.to != file.to),
                "{name}: {}",
                file.to
            );
        }
    }
}

#[test]
fn mistakes_in_a_card_name_key_and_mend() {
    const HEAD: &str = "title = \"M\"\narch = \"arm64\"\n[image]\n";
    let cases: &[(&str, &[&str])] = &[
        ("consoles = [\"ttyS0\"]\n", &["image.partition_table", "add it"]),
        ("partition_table = \"gpt\"\n", &["image.consoles", "add it"]),
        ("partition_table = \"mbr\"\n", &["mbr", "hybrid"]),
        (
            "partition_table = \"gpt\"\nconsoles = [\"c\"]\ndevice_trees = [\"../x\"]\n",
            &["image.device_trees", "../x", "relative"],
        ),
        (
            "partition_table = \"gpt\"\nconsoles = [\"c\"]\nboot_files = [{ from = \"/a\", to = \"b\" }]\n",
            &["image.boot_files.from", "/a"],
        ),
        (
            "partition_table = \"gpt\"\nconsoles = [\"c\"]\nfirmware = [\"/etc/shadow\"]\n",
            &["image.firmware", "/etc/shadow"],
        ),
        (
            "partition_table = \"gpt\"\nconsoles = [\"c\"]\nkernel_suite = \"sid main\"\n",
            &["image.kernel_suite", "sid main"],
        ),
        (
            "partition_table = \"gpt\"\nconsoles = [\"a\\\";reset\"]\n",
            &["image.consoles", "one argument each"],
        ),
        (
            "partition_table = \"gpt\"\nconsoles = [\"c\"]\nboot_packages = [\"-o\"]\n",
            &["image.boot_packages", "-o"],
        ),
        (
            "partition_table = \"gpt\"\nconsoles = [\"c\"]\ninitrd_modules = [\"a/b\"]\n",
            &["image.initrd_modules", "a/b"],
        ),
        (
            "partition_table = \"gpt\"\nconsoles = [\"c\"]\nconfig_txt = [\"a\\nb\"]\n",
            &["image.config_txt", "one line each"],
        ),
        (
            "partition_table = \"gpt\"\nconsoles = [\"c\"]\nloaders = [{ from = \"a\", sector = 9223372036854775807 }]\n",
            &["image.loaders.sector", "1048576"],
        ),
        ("colour = 1\n", &["colour"]),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (text, wanted) in cases {
        let path = dir.path().join("mine.toml");
        std::fs::write(&path, format!("{HEAD}{text}")).unwrap();
        let message = Board::from_file(&path).expect_err(text).to_string();
        for word in *wanted {
            assert!(message.contains(word), "{text}: {word:?} is not in: {message}");
        }
    }
}
