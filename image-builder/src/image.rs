//! An image from a board: its stages in their order, each made from what it is given here and from nothing else.

use std::path::PathBuf;

use anyhow::{Result, bail};
use board_configs::{Board, Image};

use crate::stage::{BootPackages, Disk, Firmware, Output, Packages, Publish, Root, SlotBoot, Stage};
use crate::tool::{Sources, Tools};
use crate::workshop::{Stop, Workshop};
use crate::{bootscript, recipe, unpacked};

/// Which image is wanted, and from what.
pub struct Order {
    /// A board that ships, or the path of a board's TOML file.
    pub board: String,
    /// The checked-out repository.
    pub repository: PathBuf,
    /// Compiled programs for the board.
    pub programs: PathBuf,
    /// Each board has a directory below it.
    pub out: PathBuf,
    /// Pillarbox's own.
    pub version: String,
    /// The commit's time: the newest time in the image, and the floor of its clock.
    pub epoch: u64,
    /// Package archives, as lines of a sources.list; those of this machine's apt when there are none.
    pub mirrors: Vec<String>,
    /// The crates of the programs, as `cargo tree --prefix none --format '{p}|{l}'` lists them.
    pub crates: PathBuf,
    /// The folder on the web where the image will be; without it there is no manifest for Raspberry Pi Imager.
    pub published_at: Option<String>,
    /// Compresses the root less, for an image that only an emulator starts.
    pub fast: bool,
    /// The last stage that runs.
    pub until: Stage,
}

/// Builds the image and returns where the last stage's output lies.
///
/// # Errors
/// When the board is unknown or never flashed, and when a stage fails: it names the stage and its log.
pub fn build(order: &Order) -> Result<PathBuf> {
    let board = Board::find(&order.board)?;
    let Some(image) = &board.image else {
        bail!("the board {} has no [image] section: it is never flashed", order.board);
    };
    let dir = order.out.join(&order.board);
    let workshop = Workshop::new(dir.clone(), order.epoch, order.until)?;
    let tools = Tools::new(dir.join("log/sources.log"), order.epoch);
    let sources = Sources::found(&tools, &order.mirrors, image.kernel_suite.as_deref())?;
    match stages(order, &board.title, image, &sources, &workshop) {
        Ok(output) | Err(Stop::Reached(output)) => Ok(output.dir),
        Err(Stop::Failed(error)) => Err(error),
    }
}

// long: the stages one after another, with what each is given; nothing is decided here.
fn stages(
    order: &Order,
    title: &str,
    image: &Image,
    sources: &Sources,
    workshop: &Workshop,
) -> std::result::Result<Output, Stop> {
    let (board, mirrors) = (order.board.as_str(), order.mirrors.as_slice());
    let own = |path: &str| order.repository.join("image-builder").join(path);
    let boot_package_names = unpacked::names(image);
    let package_names: Vec<String> = recipe::PACKAGES.iter().map(|name| (*name).to_owned()).collect();

    let boot_packages = workshop.run(&BootPackages {
        names: &boot_package_names,
        mirrors,
        sources,
    })?;
    let packages = workshop.run(&Packages {
        names: &package_names,
        mirrors,
        sources,
    })?;
    let root = workshop.run(&Root {
        boot_packages: &boot_packages,
        packages: &packages,
        board,
        version: &order.version,
        fast: order.fast,
        modules: &image.modules,
        firmware: &image.firmware,
        programs: &order.programs,
        overlay: own("overlay/root"),
        services: order.repository.join("daemon/services"),
    })?;
    let slot_boot = workshop.run(&SlotBoot {
        boot_packages: &boot_packages,
        board,
        script: bootscript::slot(image),
        device_trees: &image.device_trees,
        initrd_modules: &image.initrd_modules,
        overlay: own("overlay/initrd"),
    })?;
    let firmware = workshop.run(&Firmware {
        boot_packages: &boot_packages,
        board,
        script: bootscript::chooser(),
        config_txt: &image.config_txt,
        boot_files: &image.boot_files,
        overlay: own("overlay/firmware"),
    })?;
    let disk = workshop.run(&Disk {
        root: &root,
        slot_boot: &slot_boot,
        firmware: &firmware,
        boot_packages: &boot_packages,
        board,
        partition_table: image.partition_table,
        loaders: &image.loaders,
    })?;
    workshop.run(&Publish {
        disk: &disk,
        packages: &packages,
        boot_packages: &boot_packages,
        board,
        version: &order.version,
        title,
        boot_package_names: &boot_package_names,
        crates: &order.crates,
        published_at: order.published_at.as_deref(),
        imager_devices: &image.imager_devices,
        icon: own("icon.svg"),
    })
}
