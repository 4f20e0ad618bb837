"""For PyInstaller: the models, the page of `live` and the lazy modules belong to the program."""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules, is_module_satisfies

datas = collect_data_files("edgeemo", excludes=["cmake_ext", "compress", "export"])
# Names are imported when they are first used, which PyInstaller cannot see. Training and export
# would bring torch; a program that wants them asks for them with --hidden-import.
excludedimports = ["edgeemo.compress", "edgeemo.export"]
hiddenimports = collect_submodules(
    "edgeemo", filter=lambda name: not name.startswith(("edgeemo.compress", "edgeemo.export"))
)
if is_module_satisfies("edgeemo-teachers"):
    datas += collect_data_files("edgeemo_teachers", subdir="zoo")
