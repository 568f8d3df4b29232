//! Our own texts. They use `mail`, which `letter` makes, and what every template may use.

use super::{CalendarWords, Texts};
use crate::{Template, TemplateError, Templates};

const SUBJECT: &str = "\
{% if mail.kind == 'invitation' %}{{ mail.title }}\
{% if mail.sessions | length == 1 %}: {{ mail.sessions[0].begin | at(mail.offset) | date }}\
{% else %}: {{ mail.sessions | length }} sessions{% endif %}\
{% elif mail.kind == 'update' %}Changed: {{ mail.title }}\
{% elif mail.kind == 'cancellation' %}Cancelled: {{ mail.title }}\
{% elif mail.kind == 'recording' %}Recording: {{ mail.title }}\
{% else %}Reminder: {{ mail.title }}{% if mail.sessions and mail.sessions[0].begin %}, \
{{ mail.sessions[0].begin | at(mail.offset) | date }}, {{ mail.sessions[0].begin | at(mail.offset) | time }}\
{% endif %}{% endif %}";

const TEXT: &str = "\
{%- macro when(of) -%}
{% if of.begin %}{{ of.begin | at(mail.offset) | date }}, {{ of.begin | at(mail.offset) | time }}\
{% if of.end %}–{{ of.end | at(mail.offset) | time }}{% endif %} ({{ of.begin | at(mail.offset) | zone }})\
{% else %}a time that is not known{% endif %}
{%- endmacro -%}
Hello{% if mail.name %} {{ mail.name }}{% endif %},

{% if mail.kind == 'invitation' -%}
you are invited to {{ mail.title }}:
{% elif mail.kind == 'update' -%}
{{ mail.title }} has changed:
{% elif mail.kind == 'cancellation' -%}
{{ mail.title }} does not take place:
{% elif mail.kind == 'recording' -%}
thank you for coming to {{ mail.title }}. The recording:
{% else -%}
{{ mail.title }} begins soon:
{% endif %}
{%- for session in mail.sessions if session.state != 'unchanged' or mail.kind != 'update' %}
{% if mail.kind == 'recording' -%}
* {{ session.link }}
{%- elif session.state == 'cancelled' -%}
* {% if mail.kind == 'update' %}Cancelled: {% endif %}{{ when(session) }}
{%- elif session.state == 'moved' -%}
* Moved to {{ when(session) }}
  It was {{ when(session.was) }}
  {{ session.link }}
{%- else -%}
* {% if mail.kind == 'update' and session.state == 'added' %}New: \
{% elif session.state == 'changed' %}Changed: {% endif %}{{ when(session) }}\
{% if session.title != mail.title %}, {{ session.title }}{% endif %}
  {{ session.link }}
{%- endif %}
{%- endfor %}
{% if calendarUrl %}
All dates as a calendar to subscribe to: {{ calendarUrl }}
{% endif %}";

const HTML: &str = "\
{%- macro when(of) -%}
{% if of.begin %}{{ of.begin | at(mail.offset) | date }}, {{ of.begin | at(mail.offset) | time }}\
{% if of.end %}–{{ of.end | at(mail.offset) | time }}{% endif %} ({{ of.begin | at(mail.offset) | zone }})\
{% else %}a time that is not known{% endif %}
{%- endmacro -%}
{%- macro link(to) -%}
{% if to is startingwith('https://') or to is startingwith('http://') %}<a href=\"{{ to }}\">{{ to }}</a>\
{% else %}{{ to }}{% endif %}
{%- endmacro -%}
<!doctype html>
<html><body style=\"font-family: sans-serif; line-height: 1.5\">
<p>Hello{% if mail.name %} {{ mail.name }}{% endif %},</p>
<p>{% if mail.kind == 'invitation' %}you are invited to <b>{{ mail.title }}</b>:
{% elif mail.kind == 'update' %}<b>{{ mail.title }}</b> has changed:
{% elif mail.kind == 'cancellation' %}<b>{{ mail.title }}</b> does not take place:
{% elif mail.kind == 'recording' %}thank you for coming to <b>{{ mail.title }}</b>. The recording:
{% else %}<b>{{ mail.title }}</b> begins soon:
{% endif %}</p>
<ul>
{% for session in mail.sessions if session.state != 'unchanged' or mail.kind != 'update' -%}
<li>{% if mail.kind == 'recording' %}{{ link(session.link) }}
{%- elif session.state == 'cancelled' %}{% if mail.kind == 'update' %}Cancelled: {% endif %}<s>{{ when(session) }}</s>
{%- elif session.state == 'moved' %}Moved to <b>{{ when(session) }}</b><br>It was <s>{{ when(session.was) }}</s><br>\
{{ link(session.link) }}
{%- else %}{% if mail.kind == 'update' and session.state == 'added' %}New: \
{% elif session.state == 'changed' %}Changed: {% endif %}<b>{{ when(session) }}</b>\
{% if session.title != mail.title %}, {{ session.title }}{% endif %}<br>{{ link(session.link) }}
{%- endif %}</li>
{% endfor -%}
</ul>
{% if calendarUrl %}<p><a href=\"{{ calendarUrl }}\">All dates as a calendar to subscribe to</a></p>{% endif %}
</body></html>
";

pub(super) fn texts(templates: &Templates) -> Texts {
    let ours = |template: Result<Template, TemplateError>| Some(template.expect("our own texts can be read"));
    Texts {
        subject: ours(templates.text(SUBJECT)),
        text: ours(templates.text(TEXT)),
        html: ours(templates.html(HTML)),
        calendar: CalendarWords::default(),
    }
}
