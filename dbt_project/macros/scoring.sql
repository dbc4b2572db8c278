{#- Ratio to 6 decimals; an engine's own decimal division is a double, and exactly 10 % fell below 0.10. -#}
{% macro ratio(numerator, denominator) -%}
    cast(
        round(cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0), 6)
        as decimal(18, 6)
    )
{%- endmacro %}

{#- Whether a value lies in a band; a band without a bound is open on that side. -#}
{% macro in_band(value, band) -%}
    (
        {{ band }}.lower_bound is null
        or {{ value }} > {{ band }}.lower_bound
        or ({{ band }}.lower_included and {{ value }} = {{ band }}.lower_bound)
    )
    and (
        {{ band }}.upper_bound is null
        or {{ value }} < {{ band }}.upper_bound
        or ({{ band }}.upper_included and {{ value }} = {{ band }}.upper_bound)
    )
{%- endmacro %}
