//! The two U-Boot scripts. The one on the FAT partition chooses the slot and is never rewritten, so everything that a
//! trial needs is in it from the first card on. The one in a slot knows that slot's kernel and changes with it.
//!
//! Only commands that every board's U-Boot has: no `setexpr`, no `gpio`. Variables are imported by name, so a state
//! partition cannot change anything else. An ordinary boot writes nothing.

use board_configs::Image;

use crate::bootstate::{COPY_BYTES, COPY_DISTANCE_BYTES};
use crate::layout::{self, Part, SECTOR_BYTES};
use crate::recipe;

/// `boot.scr` of the FAT partition, before mkimage.
pub(crate) fn chooser() -> String {
    let state = layout::partition(Part::Bootstate);
    let first = state.start_sector();
    let second = first + COPY_DISTANCE_BYTES / SECTOR_BYTES;
    let number = |part| format!("{:x}", layout::partition(part).number);
    CHOOSER
        .replace("@FIRST@", &format!("{first:x}"))
        .replace("@SECOND@", &format!("{second:x}"))
        .replace("@SECTORS@", &format!("{:x}", COPY_BYTES as u64 / SECTOR_BYTES))
        .replace("@BYTES@", &format!("{COPY_BYTES:x}"))
        .replace("@BOOT_A@", &number(Part::BootA))
        .replace("@BOOT_B@", &number(Part::BootB))
}

/// Numbers in it are hexadecimal, as U-Boot reads them; only `pb_seq` is decimal, which `test -gt` reads.
const CHOOSER: &str = r#"# Pillarbox: choose the slot and start it.
setenv pb_seq; setenv pb_good; setenv pb_trial; setenv pb_next
setenv pb_holds; setenv pb_other; setenv pb_slot
setenv pb_seq0; setenv pb_seq1
${devtype} dev ${devnum}
if ${devtype} read ${kernel_addr_r} @SECOND@ @SECTORS@; then
  if env import -c ${kernel_addr_r} @BYTES@ pb_seq; then setenv pb_seq1 ${pb_seq}; setenv pb_holds @SECOND@; setenv pb_other @FIRST@; fi
fi
setenv pb_seq
if ${devtype} read ${kernel_addr_r} @FIRST@ @SECTORS@; then
  if env import -c ${kernel_addr_r} @BYTES@ pb_seq; then setenv pb_seq0 ${pb_seq}; fi
fi
if test -n "${pb_seq0}"; then
  if test -z "${pb_seq1}"; then
    setenv pb_holds @FIRST@; setenv pb_other @SECOND@
  elif test ${pb_seq0} -gt ${pb_seq1}; then
    setenv pb_holds @FIRST@; setenv pb_other @SECOND@
  fi
fi
if test -n "${pb_holds}"; then
  ${devtype} read ${kernel_addr_r} ${pb_holds} @SECTORS@
  env import -c ${kernel_addr_r} @BYTES@ pb_seq pb_good pb_trial pb_next
else
  echo "Pillarbox: no boot state, starting slot a"
fi
if test "${pb_good}" != b; then setenv pb_good a; fi
if test "${pb_trial}" = a -o "${pb_trial}" = b; then
  # The trial counts before it begins: if this cannot be written, there is none.
  setenv pb_tried ${pb_trial}; setenv pb_seq ${pb_next}
  if env export -c -s @BYTES@ ${kernel_addr_r} pb_seq pb_good pb_tried; then
    if ${devtype} write ${kernel_addr_r} ${pb_other} @SECTORS@; then setenv pb_slot ${pb_tried}; fi
  fi
fi
if test -z "${pb_slot}"; then setenv pb_slot ${pb_good}; fi
if test "${pb_slot}" = b; then setenv pb_order b a; else setenv pb_order a b; fi
for pb_try in ${pb_order}; do
  if test ${pb_try} = b; then setenv pb_boot @BOOT_B@; else setenv pb_boot @BOOT_A@; fi
  setenv pb_name ${pb_try}
  echo "Pillarbox: starting slot ${pb_name}"
  if load ${devtype} ${devnum}:${pb_boot} ${ramdisk_addr_r} boot.scr; then source ${ramdisk_addr_r}; fi
  echo "Pillarbox: slot ${pb_name} does not start"
done
reset
"#;

/// `boot.scr` of a slot, before mkimage.
pub(crate) fn slot(image: &Image) -> String {
    let consoles: String = image
        .consoles
        .iter()
        .map(|console| format!("console={console} "))
        .collect();
    let own = image.kernel_arguments.iter().map(String::as_str);
    let fixed: Vec<&str> = recipe::kernel_arguments().into_iter().chain(own).collect();
    let fixed = fixed.join(" ");
    let mut script = format!(
        "setenv bootargs \"{consoles}{fixed} pillarbox.slot=${{pb_name}}\"\n\
         load ${{devtype}} ${{devnum}}:${{pb_boot}} ${{kernel_addr_r}} vmlinuz || exit\n"
    );
    for (variable, address) in [
        ("fdt_addr_r", image.device_tree_address),
        ("ramdisk_addr_r", image.initrd_address),
    ] {
        if let Some(address) = address {
            script.push_str(&format!("setenv {variable} {address:#x}\n"));
        }
    }
    if image.device_trees.is_empty() {
        script.push_str("setenv pb_fdt ${fdtcontroladdr}\n");
    } else {
        // U-Boot names the board's tree; without one for it, the firmware's is better than none.
        script.push_str(
            "setenv pb_fdt ${fdt_addr}\n\
             if load ${devtype} ${devnum}:${pb_boot} ${fdt_addr_r} dtb/${fdtfile}; then setenv pb_fdt ${fdt_addr_r}; fi\n",
        );
    }
    script.push_str(
        "load ${devtype} ${devnum}:${pb_boot} ${ramdisk_addr_r} initrd || exit\n\
         booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${pb_fdt}\n",
    );
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_fill_in() {
        assert!(!chooser().contains('@'), "{}", chooser());
    }

    /// Debian's kernel lies over where a Raspberry Pi's U-Boot would put what comes after it.
    #[test]
    fn a_boards_own_addresses_are_set_before_anything_is_loaded_there() {
        let script = slot(&board_configs::Board::named("rpi-3").unwrap().image.unwrap());
        let at = |text: &str| script.find(text).unwrap_or_else(|| panic!("{text} is not in {script}"));
        assert!(at("setenv fdt_addr_r 0x3f00000\n") < at("${fdt_addr_r}"));
        assert!(at("setenv ramdisk_addr_r 0x4000000\n") < at("${ramdisk_addr_r}"));
        assert!(!slot(&board_configs::Board::named("qemu-virt").unwrap().image.unwrap()).contains("_addr_r 0x"));
    }

    #[test]
    fn only_commands_that_every_board_has() {
        let image = board_configs::Board::named("qemu-virt").unwrap().image.unwrap();
        for script in [chooser(), slot(&image)] {
            for absent in ["setexpr", "gpio ", "saveenv", "env import -t", "ext4load"] {
                assert!(!script.contains(absent), "{absent}");
            }
        }
    }

    /// An import without names would let the state partition set any variable.
    #[test]
    fn imports_name_what_they_take() {
        for line in chooser().lines().filter(|line| line.contains("env import")) {
            assert!(line.contains(&format!("{COPY_BYTES:x} pb_seq")), "{line}");
        }
    }

    #[test]
    fn lines_fit_into_u_boots_buffer() {
        // CONFIG_SYS_CBSIZE is 1024 on every board that ships; arguments count when expanded.
        let image = board_configs::Board::named("qemu-virt").unwrap().image.unwrap();
        for script in [chooser(), slot(&image)] {
            assert!(script.lines().all(|line| line.len() < 900));
        }
    }
}
