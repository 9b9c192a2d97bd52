"""Instances with rules of the operator's, and what became of those who broke them."""
import os
import shutil


def write_rules(instance, rules):
    """The files that these are, and no others."""
    shutil.rmtree(instance.path("rules"), ignore_errors=True)
    os.makedirs(instance.path("rules"))
    for name, text in rules.items():
        with open(instance.path("rules", name + ".sql"), "w", encoding="utf-8") as stream:
            stream.write(text + "\n")


def start_with(make_instance, rules, **options):
    instance = make_instance(start=False, **options)
    instance.prepare()
    write_rules(instance, rules)
    return instance.launch()


def evidence(server, source):
    rows = server.sql("select verb, rule, reply from violations join contacts on contacts.id = contact_id where remote_ip = ? "
                      "order by violations.id", source)
    return [tuple(row) for row in rows]
