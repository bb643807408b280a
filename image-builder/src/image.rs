//! What each stage of an image is made from, and how it is made.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use board_configs::{Board, Image};
use card_settings::{address, answer, word};

use crate::layout::{self, Part};
use crate::publish::{self, Release};
use crate::stage::{KeyHasher, STAGES};
use crate::tool::{Ext4, Sources, Tools};
use crate::workshop::Workshop;
use crate::{bootscript, disk, files, initrd, recipe, root};

/// Raised when the work of a stage changes in a way that its inputs do not show.
const REVISION: u32 = 1;
/// A data partition can grow to this in place (1 TiB): ext4 reserves the room for its group descriptors at the start.
const DATA_GROWS_TO_BYTES: u64 = 1 << 40;

/// A mistake's sentence or every setting with its value, with room for later versions to say more.
const ANSWER_BYTES: usize = 4096;
const ANSWER_BEFORE_THE_FIRST_START: &str = "The box has not been switched on with this card yet.\n";

/// Files of the FAT partition that the box writes over: name, first text, size.
const PREPARED: &[(&str, &str, usize)] = &[
    (answer::FILE, ANSWER_BEFORE_THE_FIRST_START, ANSWER_BYTES),
    (address::FILE, address::NONE_YET, address::FILE_BYTES),
    (word::FILE, word::NONE_YET, word::FILE_BYTES),
];

pub struct Order {
    pub board: String,
    /// The checked-out repository.
    pub repository: PathBuf,
    /// Compiled programs for the board.
    pub programs: PathBuf,
    pub out: PathBuf,
    pub version: String,
    /// The commit's time: the newest time in the image, and the floor of its clock.
    pub epoch: u64,
    /// Package archives, as lines of a sources.list; those of this machine's apt when there are none.
    pub mirrors: Vec<String>,
    /// The crates of the programs, as `cargo tree` lists them ([`crate::sbom::crates`]).
    pub crates: PathBuf,
    /// The folder on the web where the image will be; without it there is no manifest for Raspberry Pi Imager.
    pub published_at: Option<String>,
    /// Compresses the root less, for an image that only an emulator starts.
    pub fast: bool,
    /// Stops after this stage.
    pub until: Option<String>,
}

struct Plan {
    order: Order,
    title: String,
    image: Image,
    sources: Sources,
    boot_packages: Vec<String>,
    packages: Vec<String>,
}

/// Builds the image and returns where the last stage's output lies.
pub fn build(order: Order) -> Result<PathBuf> {
    let board = Board::find(&order.board)?;
    let Some(image) = board.image else {
        bail!("the board {} has no [image] section: it is never flashed", order.board);
    };
    let mut workshop = Workshop::new(order.out.join(&order.board), order.epoch)?;
    let tools = Tools::new(order.out.join(&order.board).join("log/sources.log"), order.epoch);
    let sources = Sources::found(&tools, &order.mirrors, image.kernel_suite.as_deref())?;
    let plan = Plan {
        boot_packages: boot_packages(&image),
        packages: recipe::PACKAGES.iter().map(|name| (*name).to_owned()).collect(),
        order,
        title: board.title,
        image,
        sources,
    };
    let until = plan.order.until.as_deref();
    anyhow::ensure!(
        until.is_none_or(|until| STAGES.iter().any(|stage| stage.name == until)),
        "there is no stage {until:?}"
    );
    workshop.run(
        until,
        |stage, hasher| plan.inputs(stage, hasher),
        |workshop, stage, tools, into| plan.work(workshop, stage, tools, into),
    )?;
    Ok(workshop.output(until.unwrap_or("publish")).to_owned())
}

impl Plan {
    fn builder(&self, path: &str) -> PathBuf {
        self.order.repository.join("image-builder").join(path)
    }

    fn inputs(&self, stage: &'static str, hasher: &mut KeyHasher) -> Result<()> {
        hasher.add("revision", &REVISION.to_le_bytes());
        match stage {
            "boot-packages" => {
                hasher.add("packages", self.boot_packages.join(" ").as_bytes());
                hasher.add("mirrors", self.order.mirrors.join("\n").as_bytes());
                hasher.add("suite", recipe::SUITE.as_bytes());
            }
            "packages" => {
                hasher.add("packages", self.packages.join(" ").as_bytes());
                hasher.add("mirrors", self.order.mirrors.join("\n").as_bytes());
                hasher.add("suite", recipe::SUITE.as_bytes());
            }
            "root" => {
                hasher.add("board", self.order.board.as_bytes());
                hasher.add("version", self.order.version.as_bytes());
                hasher.add("fast", &[u8::from(self.order.fast)]);
                hasher.add("cuts", recipe::ROOT_CUTS.join(" ").as_bytes());
                hasher.add("masked", format!("{:?}", recipe::MASKED_UNITS).as_bytes());
                hasher.add("module cuts", recipe::MODULE_CUTS.join(" ").as_bytes());
                hasher.add("modules", self.image.modules.join(" ").as_bytes());
                hasher.add("firmware", self.image.firmware.join(" ").as_bytes());
                for (program, to) in recipe::PROGRAMS {
                    let path = self.order.programs.join(program);
                    let missing = || format!("{} is missing; scripts/build-image compiles it", path.display());
                    hasher.add(to, &files::read(&path).with_context(missing)?);
                }
                add_tree(hasher, &self.builder("overlay/root"))?;
                add_tree(hasher, &self.order.repository.join("daemon/services"))?;
            }
            "slot-boot" => {
                hasher.add("times", b"of the commit");
                hasher.add("board", self.order.board.as_bytes());
                hasher.add("script", bootscript::slot(&self.image).as_bytes());
                hasher.add("trees", self.image.device_trees.join(" ").as_bytes());
                hasher.add("modules", self.image.initrd_modules.join(" ").as_bytes());
                hasher.add("common modules", recipe::INITRD_MODULES.join(" ").as_bytes());
                hasher.add("modules of some", recipe::INITRD_MODULES_OF_SOME.join(" ").as_bytes());
                hasher.add("applets", recipe::INITRD_APPLETS.join(" ").as_bytes());
                add_tree(hasher, &self.builder("overlay/initrd"))?;
            }
            "firmware" => {
                hasher.add("times", b"of the commit");
                hasher.add("board", self.order.board.as_bytes());
                hasher.add("script", bootscript::chooser().as_bytes());
                hasher.add("config", self.image.config_txt.join("\n").as_bytes());
                for file in &self.image.boot_files {
                    hasher.add(&file.to, file.from.as_bytes());
                }
                for (name, text, bytes) in PREPARED {
                    hasher.add(name, &answer::fitted(text, *bytes));
                }
                add_tree(hasher, &self.builder("overlay/firmware"))?;
            }
            "disk" => {
                hasher.add("layout", layout::sfdisk_script(&self.order.board).as_bytes());
                hasher.add("table", format!("{:?}", self.image.partition_table).as_bytes());
                hasher.add("loaders", format!("{:?}", self.image.loaders).as_bytes());
            }
            "publish" => {
                hasher.add("version", self.order.version.as_bytes());
                hasher.add("crates", &files::read(&self.order.crates)?);
                hasher.add("published at", format!("{:?}", self.order.published_at).as_bytes());
                hasher.add("imager", self.image.imager_devices.join(" ").as_bytes());
                hasher.add("icon", &files::read(&self.builder("icon.svg"))?);
            }
            other => bail!("stage {other} has no inputs here"),
        }
        Ok(())
    }

    fn work(&self, workshop: &Workshop, stage: &'static str, tools: &Tools, into: &Path) -> Result<()> {
        match stage {
            "boot-packages" => self.boot_packages(tools, into),
            "packages" => Ok(tools.mmdebstrap_root(&self.packages, &self.sources, &into.join("root"))?),
            "root" => self.root(workshop, tools, into),
            "slot-boot" => self.slot_boot(workshop, tools, into),
            "firmware" => self.firmware(workshop, tools, into),
            "disk" => self.disk(workshop, tools, into),
            "publish" => publish::publish(
                tools,
                &Release {
                    board: &self.order.board,
                    version: &self.order.version,
                    title: &self.title,
                    image: &workshop.output("disk").join("disk.img"),
                    packages: &workshop.output("packages").join("root"),
                    boot_packages: &workshop.output("boot-packages").join("root"),
                    boot_package_names: &self.boot_packages,
                    crates: &self.order.crates,
                    published_at: self.order.published_at.as_deref(),
                    imager_devices: &self.image.imager_devices,
                    icon: &self.builder("icon.svg"),
                },
                into,
            ),
            other => Err(anyhow!("stage {other} has no work here")),
        }
    }

    fn boot_packages(&self, tools: &Tools, into: &Path) -> Result<()> {
        unpack(tools, &self.boot_packages, &self.sources, &into.join("root"))
    }

    fn root(&self, workshop: &Workshop, tools: &Tools, into: &Path) -> Result<()> {
        let boot_packages = workshop.output("boot-packages").join("root");
        let tree = into.join("tree");
        let parts = root::Parts {
            packages: &workshop.output("packages").join("root"),
            kernel: &kernel_of(&boot_packages)?,
            boot_packages: &boot_packages,
            modules: &self.image.modules,
            firmware: &self.image.firmware,
            programs: &self.order.programs,
            overlay: &self.builder("overlay/root"),
            services: &self.order.repository.join("daemon/services"),
            board: &self.order.board,
            version: &self.order.version,
        };
        root::assemble(tools, &parts, &tree)?;
        tools.mksquashfs(&tree, &into.join("root.squashfs"), self.order.fast)?;
        files::remove(&tree)
    }

    /// The slot's boot partition: kernel, initrd, device trees and the script that starts them.
    fn slot_boot(&self, workshop: &Workshop, tools: &Tools, into: &Path) -> Result<()> {
        let packages = workshop.output("boot-packages").join("root");
        let kernel = kernel_of(&packages)?;
        let content = into.join("content");
        files::copy(&kernel_image(&packages, &kernel), &content.join("vmlinuz"), 0o644)?;
        for tree in &self.image.device_trees {
            let from = packages.join(format!("usr/lib/linux-image-{kernel}")).join(tree);
            files::copy(&from, &content.join("dtb").join(tree), 0o644)
                .with_context(|| format!("image.device_trees of {} names {tree}", self.order.board))?;
        }
        let init = files::read(&self.builder("overlay/initrd/init"))?;
        initrd::build(
            tools,
            &packages,
            &kernel,
            &self.image.initrd_modules,
            &init,
            &content.join("initrd"),
        )?;
        let script = into.join("boot.cmd");
        files::write(&script, bootscript::slot(&self.image).as_bytes(), 0o644)?;
        tools.mkimage_script(&script, &content.join("boot.scr"))?;
        let ext4 = Ext4 {
            label: "boot",
            uuid: layout::guid(&self.order.board, "boot-fs"),
            size_bytes: layout::partition(Part::BootA).size_bytes,
            grows_to_bytes: None,
            journal_mib: None,
            content: Some(&content),
        };
        tools.mke2fs(&ext4, &into.join("boot.ext4"))?;
        files::remove(&content)
    }

    /// The FAT partition.
    fn firmware(&self, workshop: &Workshop, tools: &Tools, into: &Path) -> Result<()> {
        let packages = workshop.output("boot-packages").join("root");
        let kernel = kernel_of(&packages)?;
        let content = into.join("content");
        files::make_dir(&content)?;
        for file in &self.image.boot_files {
            let from = packages.join(file.from.replace("{kernel}", &kernel));
            if from.is_dir() {
                for path in files::walk(&from)? {
                    files::copy(&from.join(&path), &content.join(&file.to).join(&path), 0o644)?;
                }
            } else {
                files::copy(&from, &content.join(&file.to), 0o644)
                    .with_context(|| format!("image.boot_files of {} names {}", self.order.board, file.from))?;
            }
        }
        if !self.image.config_txt.is_empty() {
            let text = self.image.config_txt.join("\n") + "\n";
            files::write(&content.join("config.txt"), text.as_bytes(), 0o644)?;
        }
        let own = self.builder("overlay/firmware");
        for path in files::walk(&own)? {
            files::copy(&own.join(&path), &content.join(&path), 0o644)?;
        }
        // The box may only write over what is there (card-settings), so the room is made now.
        for (name, text, bytes) in PREPARED {
            files::write(&content.join(name), &answer::fitted(text, *bytes), 0o644)?;
        }
        let script = into.join("boot.cmd");
        files::write(&script, bootscript::chooser().as_bytes(), 0o644)?;
        tools.mkimage_script(&script, &content.join("boot.scr"))?;
        let image = into.join("firmware.fat");
        std::fs::File::create(&image)
            .and_then(|file| file.set_len(layout::partition(Part::Firmware).size_bytes))
            .with_context(|| format!("cannot write {}", image.display()))?;
        tools.mkfs_fat(&image, "PILLARBOX", fat_id(&self.order.board))?;
        tools.set_times(&content)?;
        let mut made: Vec<PathBuf> = Vec::new();
        for path in files::walk(&content)? {
            let parents: Vec<&Path> = path
                .ancestors()
                .skip(1)
                .filter(|parent| *parent != Path::new(""))
                .collect();
            for parent in parents.into_iter().rev() {
                if !made.iter().any(|known| known == parent) {
                    tools.mmd(&image, &parent.to_string_lossy())?;
                    made.push(parent.to_owned());
                }
            }
            tools.mcopy(&image, &content.join(&path), &path.to_string_lossy())?;
        }
        files::remove(&content)
    }

    /// The loaders in front of the partitions, with their sectors.
    fn loaders(&self, packages: &Path) -> Result<Vec<(u64, PathBuf)>> {
        let named = self.image.loaders.iter().map(|loader| {
            let file = packages.join(&loader.from);
            anyhow::ensure!(
                file.is_file(),
                "image.loaders of {} names {}, which no package of the board has",
                self.order.board,
                loader.from
            );
            Ok((loader.sector, file))
        });
        named.collect()
    }

    fn disk(&self, workshop: &Workshop, tools: &Tools, into: &Path) -> Result<()> {
        let data = into.join("data.ext4");
        let ext4 = Ext4 {
            label: "data",
            uuid: layout::guid(&self.order.board, "data-fs"),
            size_bytes: layout::partition(Part::Data).size_bytes,
            grows_to_bytes: Some(DATA_GROWS_TO_BYTES),
            journal_mib: Some(16),
            content: None,
        };
        tools.mke2fs(&ext4, &data)?;
        let contents: &[(Part, &Path)] = &[
            (Part::Firmware, &workshop.output("firmware").join("firmware.fat")),
            (Part::BootA, &workshop.output("slot-boot").join("boot.ext4")),
            (Part::RootA, &workshop.output("root").join("root.squashfs")),
            (Part::Data, &data),
        ];
        let packages = workshop.output("boot-packages").join("root");
        let loaders = self.loaders(&packages)?;
        disk::assemble(
            tools,
            &self.order.board,
            self.image.partition_table,
            &loaders,
            contents,
            &into.join("disk.img"),
        )?;
        files::remove(&data)
    }
}

/// Boot packages, unpacked and not installed, with the kernel's modules in their order.
pub(crate) fn unpack(tools: &Tools, packages: &[String], sources: &Sources, root: &Path) -> Result<()> {
    tools.mmdebstrap_extract(packages, sources, root)?;
    // base-files would bring this link; depmod looks in /lib.
    root::relink(&root.join("lib"), "usr/lib")?;
    tools.depmod(root, &kernel_of(root)?)?;
    Ok(())
}

pub(crate) fn kernel_of(boot_packages: &Path) -> Result<String> {
    files::only_entry(&boot_packages.join("usr/lib/modules"))
}

/// Where Debian's kernel packages have it: in `/boot`, and in newer ones beside the modules.
fn kernel_image(packages: &Path, kernel: &str) -> PathBuf {
    let beside = packages.join("usr/lib/modules").join(kernel).join("vmlinuz");
    if beside.is_file() {
        return beside;
    }
    packages.join(format!("boot/vmlinuz-{kernel}"))
}

/// As apt takes them: a package from another suite is followed by it.
pub(crate) fn boot_packages(image: &Image) -> Vec<String> {
    let common = recipe::BOOT_PACKAGES.iter().map(|name| match &image.kernel_suite {
        Some(suite) if *name == recipe::KERNEL_PACKAGE => format!("{name}/{suite}"),
        _ => (*name).to_owned(),
    });
    common.chain(image.boot_packages.iter().cloned()).collect()
}

/// A FAT volume's number: any, but the same in every build.
fn fat_id(board: &str) -> u32 {
    u32::from_str_radix(&layout::guid(board, "fat")[..8], 16).expect("an identifier starts with eight digits")
}

fn add_tree(hasher: &mut KeyHasher, dir: &Path) -> Result<()> {
    for path in files::walk(dir)? {
        hasher.add(&path.to_string_lossy(), &files::read(&dir.join(&path))?);
    }
    Ok(())
}
