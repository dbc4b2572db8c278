{#-
    Text of a source to typed values, as the gate's rules read it (a test compares the two); what cannot be read is
    null, and the gate has already kept such rows out. Times are wall-clock times of the source: a zone is not applied.
-#}

{% macro parse_timestamp(column) -%}
    {{ return(adapter.dispatch('parse_timestamp', 'customer_tiering')(column)) }}
{%- endmacro %}

{% macro default__parse_timestamp(column) -%}
    coalesce(
        try_cast(regexp_extract(trim({{ column }}), '^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?)?') as timestamp),
        try_strptime(trim({{ column }}), ['%Y/%m/%d', '%Y%m%d', '%Y.%m.%d', '%Y/%m/%d %H:%M:%S'])
    )
{%- endmacro %}

{#- Dates with the day in front, as 29/2/2016 01:16; a source writes either these or those above. -#}
{% macro parse_day_first_timestamp(column) -%}
    {{ return(adapter.dispatch('parse_day_first_timestamp', 'customer_tiering')(column)) }}
{%- endmacro %}

{% macro default__parse_day_first_timestamp(column) -%}
    coalesce(
        try_cast(regexp_extract(trim({{ column }}), '^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?)?') as timestamp),
        try_strptime(trim({{ column }}), ['%d/%m/%Y', '%d/%m/%Y %H:%M', '%d/%m/%Y %H:%M:%S'])
    )
{%- endmacro %}

{% macro parse_date(column) -%}
    cast({{ customer_tiering.parse_timestamp(column) }} as date)
{%- endmacro %}

{% macro parse_money(column) -%}
    try_cast({{ column }} as decimal(18, 2))
{%- endmacro %}

{% macro parse_rate(column) -%}
    try_cast({{ column }} as decimal(18, 6))
{%- endmacro %}

{#- Full-width digits, letters and signs of Chinese input methods to their plain forms. -#}
{% macro half_width(column) -%}
    translate({{ column }}, '０１２３４５６７８９＋－（）　', '0123456789+-() ')
{%- endmacro %}

{#- Phones to one form: digits only, without the country code of mainland China. -#}
{% macro normalise_phone(column) -%}
    nullif(
        regexp_replace(
            {{ customer_tiering.strip_non_digits(customer_tiering.half_width(column)) }}, '^(0086|86)(1[0-9]{10})$', '{{ customer_tiering.group_reference(2) }}'
        ),
        ''
    )
{%- endmacro %}

{% macro strip_non_digits(expression) -%}
    {{ return(adapter.dispatch('strip_non_digits', 'customer_tiering')(expression)) }}
{%- endmacro %}

{% macro default__strip_non_digits(expression) -%}
    regexp_replace({{ expression }}, '[^0-9]', '', 'g')
{%- endmacro %}

{#- How a replacement names a captured group: \2 or $2. -#}
{% macro group_reference(number) -%}
    {{ return(adapter.dispatch('group_reference', 'customer_tiering')(number)) }}
{%- endmacro %}

{% macro default__group_reference(number) -%}
    \{{ number }}
{%- endmacro %}
