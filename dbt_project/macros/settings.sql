{#- One column per setting, of a group of rows of the rules' table `settings`: whole numbers, then decimals. -#}
{% macro settings_as_columns(whole, numbers) -%}
    {%- for name in whole %}
    cast(max(case when settings.setting = '{{ name }}' then settings.value end) as integer) as {{ name }},
    {%- endfor %}
    {%- for name in numbers %}
    cast(max(case when settings.setting = '{{ name }}' then settings.value end) as decimal(24, 6)) as {{ name }}
    {{- "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}
