{#- How much more there is now than before, -1 to 1: (now - before) / (now + before); null when there is neither. -#}
{% macro trend(now, before) -%}
    {{ customer_tiering.ratio('(' ~ now ~ ') - (' ~ before ~ ')', '(' ~ now ~ ') + (' ~ before ~ ')') }}
{%- endmacro %}

{#- Rows whose age in days lies in a window: age 0 is the as-of date itself. -#}
{% macro in_window(age, first, past) -%}
    ({{ age }} >= {{ first }} and {{ age }} < {{ past }})
{%- endmacro %}

{#- The date so many days before another one. -#}
{% macro days_before(day, days) -%}
    {{ return(adapter.dispatch('days_before', 'customer_tiering')(day, days)) }}
{%- endmacro %}

{% macro default__days_before(day, days) -%}
    cast({{ day }} - to_days(cast({{ days }} as integer)) as date)
{%- endmacro %}
