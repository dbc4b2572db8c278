-- The wide indicators as rows: customer x indicator x as-of date. Schemes choose from them by name.
with indicators as (

    select * from {{ ref('fct_customer_indicators') }}

)

{% for indicator in var('indicators') -%}
select
    customer_id,
    as_of_date,
    '{{ indicator }}' as indicator,
    cast({{ indicator }} as decimal(24, 6)) as raw_value
from indicators
{% if not loop.last %}union all{% endif %}
{% endfor %}
