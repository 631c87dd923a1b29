"""config/service.yaml and the environment: one value, every fault at once."""

import pytest

from geoserver_app.settings import ROOT, Settings, SettingsInvalid, check_public_address, load_settings


def written(tmp_path, text):
    (tmp_path / "config").mkdir()
    path = tmp_path / "config" / "service.yaml"
    path.write_text(text, "utf-8")
    return path


def test_the_settings_that_ship_load_without_a_fault():
    settings = load_settings({}, ROOT / "config" / "service.yaml")
    assert settings.port == 8080 and settings.public_base_url == "http://127.0.0.1:8080"
    assert settings.store.is_absolute() and settings.demo is False


def test_the_environment_wins_over_the_file(tmp_path):
    settings = load_settings({"GEOSHARE_PORT": "9000", "GEOSHARE_DEMO": "true"}, written(tmp_path, "port: 8081\n"))
    assert settings.port == 9000 and settings.demo is True and settings.public_base_url == "http://127.0.0.1:9000"


def test_every_fault_is_told_at_once(tmp_path):
    path = written(tmp_path, "prot: 1\nport: 70000\nworkers: many\nceiling: cosmic\npublic_base_url: maps.test\n")
    with pytest.raises(SettingsInvalid) as told:
        load_settings({}, path)
    assert {fault.split(":")[0] for fault in told.value.faults} == {"prot", "port", "workers", "ceiling", "public_base_url"}


def test_folders_are_taken_from_beside_config(tmp_path):
    settings = load_settings({}, written(tmp_path, "data: here\nstore: elsewhere/store\n"))
    assert settings.data == tmp_path / "here" and settings.store == tmp_path / "elsewhere" / "store"
    assert settings.cache == tmp_path / "here" / "cache"


def test_a_file_that_is_not_yaml_is_named_as_such(tmp_path):
    with pytest.raises(SettingsInvalid, match="not YAML"):
        load_settings({}, written(tmp_path, "port: [1\n"))


def test_listening_on_every_address_asks_what_clients_call_the_server(tmp_path):
    with pytest.raises(SettingsInvalid, match="public_base_url: say what clients call this server"):
        check_public_address(load_settings({"GEOSHARE_BIND": "0.0.0.0"}, written(tmp_path, "")))
    check_public_address(load_settings({"GEOSHARE_BIND": "0.0.0.0", "GEOSHARE_PUBLIC_BASE_URL": "https://maps.test/"}, tmp_path / "config" / "service.yaml"))


def test_settings_for_a_test_are_one_line(tmp_path):
    assert Settings.at(tmp_path, port=1).public_base_url == "http://127.0.0.1:1"
