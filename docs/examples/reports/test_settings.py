import json


def read_settings(path):
    file = open(path)
    return json.load(file)


def test_settings(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text('{"place": "hill"}')
    assert read_settings(path) == {"place": "hill"}
