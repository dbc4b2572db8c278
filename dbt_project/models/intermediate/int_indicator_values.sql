-- The wide indicators as rows: customer x indicator x as-of date; numbers in raw_value, names in raw_level.
with indicators as (

    select * from {{ ref('fct_customer_indicators') }}

)

{% for indicator in var('indicators') -%}
select
    customer_id,
    as_of_date,
    '{{ indicator }}' as indicator,
    cast({{ indicator }} as decimal(24, 6)) as raw_value,
    cast(null as varchar) as raw_level
from indicators
union all
{% endfor %}
{% for indicator in var('level_indicators') -%}
select
    customer_id,
    as_of_date,
    '{{ indicator }}' as indicator,
    cast(null as decimal(24, 6)) as raw_value,
    {{ indicator }} as raw_level
from indicators
{% if not loop.last %}union all{% endif %}
{% endfor %}
